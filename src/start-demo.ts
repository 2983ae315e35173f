/**
 * The synthetic shop of a running system: some days of history into an empty store, then live.
 */
import type { Clock } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import type { Config } from './config.ts';
import { fillHistory, sendLive } from './demo/traffic.ts';
import type { Store } from './store/store.ts';

const DEMO_DAYS = 14;
const DEMO_EVENTS = 800_000;
/** What the history has in its busier hours. */
const DEMO_EVENTS_PER_SECOND = 1;

/** Returns how it is stopped. */
export function startDemo(
  url: string,
  config: Config,
  { clock, logger }: { clock: Clock; logger: Logger },
  store: Store | undefined,
): () => Promise<void> {
  const ended = new AbortController();
  const { key, project } = firstKey(config);
  const traffic = { url, key, clock, logger, signal: ended.signal };
  const run = async (): Promise<void> => {
    const live = sendLive(traffic, DEMO_EVENTS_PER_SECOND);
    const rows = await store?.select<{ events: number }>(
      'SELECT count() AS events FROM events WHERE project_id = {project:String}',
      { project },
    );
    if ((rows?.[0]?.events ?? 0) < DEMO_EVENTS / 2) {
      const taken = await fillHistory(traffic, DEMO_DAYS, DEMO_EVENTS);
      logger.info({ days: DEMO_DAYS, events: taken }, 'the demo shop has a history now');
    }
    await live;
  };
  const running = run().catch((error: unknown) => {
    if (!ended.signal.aborted) logger.error({ err: error }, 'the demo shop ended');
  });
  return async () => {
    ended.abort();
    await running;
  };
}

/** The write key that the demo uses, and its project. */
export function firstKey(config: Config): { key: string; project: string } {
  const [key = '', project = ''] = [...config.CLICKSTREAM_KEYS][0] ?? [];
  return { key, project };
}
