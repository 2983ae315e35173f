/**
 * Writes down how far the processor is behind (schema/008_lag.sql), so that whoever reads the store
 * can draw it: the log itself is not in there.
 */
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { behindMs, type Log } from '../../log/log.ts';
import type { Store } from '../../store/store.ts';
import type { Records } from '../records.ts';

export interface LagOptions {
  log: Log;
  store: Store;
  records: Pick<Records, 'registerLog'>;
  clock: Clock;
  logger: Logger;
  /** Fires when the system stops. */
  signal: AbortSignal;
}

const EVERY_MS = 10_000;
const COLUMNS = ['at', 'log_id', 'accepted', 'waiting', 'behind_seconds'];

/** Until the signal fires. Of a time in which log or store did not answer there is no row. */
export async function keepLag(options: LagOptions): Promise<void> {
  const { log, store, records, clock, logger, signal } = options;
  let logId: number | undefined;

  async function rowNow() {
    logId ??= await records.registerLog(log.id);
    const stats = await log.stats();
    const nowMs = clock.now();
    const accepted = sum(stats.ends);
    const waiting = accepted - sum(stats.committed);
    return [(nowMs / 1_000).toFixed(3), logId, accepted, waiting, behindMs(stats, nowMs) / 1_000];
  }

  while (!signal.aborted) {
    try {
      await store.insert('lag', COLUMNS, [await rowNow()]);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // Whoever answers again or not is told by /ready and the metrics.
      logger.debug({ message: error.message }, 'the lag was not written down');
    }
    await clock.sleep(EVERY_MS, signal);
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);
