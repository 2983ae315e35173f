/**
 * The topic that others fill, where `CLICKSTREAM_SOURCE` names one: opened, and read in the
 * background beside the collector's own addresses.
 */
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { Metrics } from './base/metrics.ts';
import { runSource } from './collect/source.ts';
import type { Step } from './collect/step.ts';
import type { Config } from './config.ts';
import type { Log } from './log/log.ts';
import { firstKey } from './start-demo.ts';

interface Parts {
  config: Config;
  clock: Clock;
  logger: Logger;
  onFatal: (error: Error) => void;
  log: Log;
  steps: readonly Step[];
  metrics: Metrics;
  openSource: (config: Config, tools: Pick<Parts, 'clock' | 'logger' | 'onFatal'>) => Promise<Log>;
}

/** How long a stop waits for the batch under way; what is not committed then comes again. */
const LAST_BATCH_MS_MAX = 500;
/** How long a start waits to hear whether the source is there at all. */
const OPEN_MS_MAX = 3_000;
/** First wait after the source could not be opened, and the longest. */
const RETRY_MS = 250;
const RETRY_MS_MAX = 10_000;

/**
 * Returns how it is stopped. A source that does not answer yet is waited for: the collector's
 * addresses must not depend on somebody else's brokers.
 * @throws AppError `bad_setting`, or what else waiting would not change.
 */
export async function startSource(parts: Parts): Promise<() => Promise<void>> {
  const { config, clock, logger, onFatal } = parts;
  if (config.CLICKSTREAM_SOURCE === '') return async () => undefined;
  const ended = new AbortController();
  const { signal } = ended;
  const opening = tryToOpen(parts);
  let source: Log | undefined;
  await Promise.race([opening, clock.sleep(OPEN_MS_MAX, signal)]);

  async function work(): Promise<void> {
    source = await opening;
    for (let waitMs = RETRY_MS; source === undefined; ) {
      await clock.sleep(waitMs, signal);
      if (signal.aborted) return;
      source = await tryToOpen(parts);
      waitMs = Math.min(waitMs * 2, RETRY_MS_MAX);
    }
    const projectId = config.CLICKSTREAM_SOURCE_PROJECT || firstKey(config).project;
    await runSource({ ...parts, source, projectId, signal });
  }

  const working = work().catch((error: Error) => {
    if (!signal.aborted) onFatal(error);
  });
  return async () => {
    ended.abort();
    const closed = working
      .then(() => source?.close())
      .catch((error: Error) => logger.warn({ err: error }, 'the source cannot be closed'));
    await Promise.race([closed, clock.sleep(LAST_BATCH_MS_MAX)]);
  };
}

/** Undefined when it does not answer. */
async function tryToOpen(parts: Parts): Promise<Log | undefined> {
  const { config, log, logger } = parts;
  let source: Log;
  try {
    // A collector may have begun without its log: until that answers nobody knows which one it is.
    await log.stats();
    source = await parts.openSource(config, parts);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'log_unreachable') throw error;
    logger.warn({ message: error.message }, 'the source has to wait; trying again');
    return undefined;
  }
  if (source.id !== log.id) return source;
  await source.close();
  throw new AppError(
    'bad_setting',
    'CLICKSTREAM_SOURCE is the topic of CLICKSTREAM_LOG: every event would come again for ever.',
    { field: 'CLICKSTREAM_SOURCE' },
  );
}
