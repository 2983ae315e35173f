/** The log and its spool as an operator sees them: whether events are taken, and gauges. */
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import type { Metrics, Samples } from './base/metrics.ts';
import { behindMs, type Log, type LogStats, type Spooled } from './log/log.ts';

/**
 * What keeps the log from taking events, as a sentence. A log that is away is no trouble while the
 * spool takes them: who would send elsewhere because of it would only move the load.
 */
export async function logTrouble(
  log: Log,
  spooled: (() => Spooled) | undefined,
): Promise<string | undefined> {
  const spool = spooled?.();
  // It is not asked again: a log that is away lets its callers wait.
  if (spool?.isLogAnswering === false) return spool.refusal;
  try {
    const { isFull } = await log.stats();
    return isFull ? 'there is no room on the disk of the log' : undefined;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // A log that refuses this process, a spool does not make up for.
    if (error.code !== 'log_unreachable') return error.message;
    return spool === undefined ? 'the log does not answer' : undefined;
  }
}

export function logGauges(metrics: Metrics, log: Log, clock: Clock): void {
  /** No samples while the log does not answer: old ones would pass for new. */
  const sample = async (read: (stats: LogStats) => number | Samples): Promise<number | Samples> => {
    try {
      return read(await log.stats());
    } catch (error) {
      if (error instanceof AppError) return [];
      throw error;
    }
  };
  const perPartition = (numbers: readonly number[]) =>
    numbers.map((number, partition) => [{ partition: String(partition) }, number] as const);
  metrics.gauge(
    'clickstream_log_end',
    'Records ever appended, by partition.',
    () => sample(({ ends }) => perPartition(ends)),
    ['partition'],
  );
  metrics.gauge(
    'clickstream_log_committed',
    'Records processed, by partition.',
    () => sample(({ committed }) => perPartition(committed)),
    ['partition'],
  );
  metrics.gauge('clickstream_log_bytes', 'Bytes of the log on disk.', () =>
    sample(({ bytesOnDisk }) => bytesOnDisk ?? []),
  );
  metrics.gauge('clickstream_behind_seconds', 'Age of the oldest record that waits.', () =>
    sample((stats) => behindMs(stats, clock.now()) / 1000),
  );
}

export function spoolGauges(metrics: Metrics, spooled: () => Spooled, clock: Clock): void {
  metrics.gauge(
    'clickstream_spool_records',
    'Records that this process has accepted and not yet sent on to the log.',
    () => spooled().records,
  );
  metrics.gauge('clickstream_spool_bytes', 'Bytes of those records.', () => spooled().bytes);
  metrics.gauge('clickstream_spool_age_seconds', 'Age of the oldest of those records.', () => {
    const nowMs = clock.now();
    return Math.max(0, nowMs - (spooled().oldestMs ?? nowMs)) / 1000;
  });
}
