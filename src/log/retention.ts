/**
 * Deletes what is no longer needed of a partition: whole segments, oldest first, that are committed
 * and old, or committed and too many; never what is younger than a fixed time, so that the store
 * can be compared with the log, and healed from it, that far back.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from './disk.ts';
import type { Segment } from './segment.ts';

export interface RetentionOptions {
  disk: Disk;
  clock: Clock;
  logger: Logger;
  folder: string;
  number: number;
  /** How long committed records are kept. */
  keepMs: number;
  /** How many bytes of them are kept, at most, once they are older than `keepAlwaysMs`. */
  keepBytes: number;
  keepAlwaysMs: number;
  /** A deletion failed. */
  onFailure: (error: unknown) => void;
}

export interface Retention {
  /** Deletes in the background what may go now. */
  start(): void;
  close(): Promise<void>;
}

/** Deleted segments are taken out of `segments`. */
export function createRetention(
  options: RetentionOptions,
  segments: Segment[],
  committed: () => number,
): Retention {
  const { disk, clock, logger, folder, number, keepMs, keepBytes, keepAlwaysMs } = options;
  let isRunning = false;
  let running = Promise.resolve();

  /** Whether the segment before `segment` is over and committed. */
  const endsBefore = (segment: Segment | undefined): segment is Segment =>
    segment !== undefined && segment.durableBytes > 0 && segment.base <= committed();

  function mayDeleteOldest(): boolean {
    const second = segments[1];
    if (!endsBefore(second)) return false;
    const ageMs = clock.now() - second.createdMs;
    if (ageMs < keepAlwaysMs) return false;
    const done = segments.filter((_, i) => endsBefore(segments[i + 1]));
    const doneBytes = done.reduce((sum, { reservedBytes }) => sum + reservedBytes, 0);
    return ageMs >= keepMs || doneBytes > keepBytes;
  }

  async function run(): Promise<void> {
    for (;;) {
      const [oldest, second] = segments;
      if (oldest === undefined || second === undefined || !mayDeleteOldest()) break;
      segments.shift();
      await disk.remove(oldest.path);
      // After each: a crash must never leave a gap.
      await disk.syncFolder(folder);
      logger.info({ partition: number, before: second.base }, 'deleted committed records');
    }
    isRunning = false;
  }

  return {
    start() {
      if (isRunning) return;
      isRunning = true;
      running = run().catch(options.onFailure);
    },
    close: () => running,
  };
}
