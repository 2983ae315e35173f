/**
 * The log in numbers for Prometheus: what is on it, what is processed, how old what waits is.
 */
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import type { Metrics, Samples } from './base/metrics.ts';
import type { Log, LogStats } from './log/log.ts';

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
    sample(({ oldestWaitingMs }) => {
      const nowMs = clock.now();
      const waiting = oldestWaitingMs.filter((ms) => ms !== undefined);
      return Math.max(0, nowMs - Math.min(nowMs, ...waiting)) / 1000;
    }),
  );
}
