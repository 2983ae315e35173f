/**
 * A partition of the log at work: what the processor hands to whoever works on it as its owner.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Log } from '../log/log.ts';
import type { Records } from './records.ts';
import type { ErasedIds } from './window/erased-ids.ts';
import type { KeyHash } from './window/key-hash.ts';
import type { Window, WindowLimits } from './window/window.ts';

export interface ProcessorOptions {
  log: Log;
  records: Records;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  batchRowsMax: number;
  batchBytesMax: number;
  /**
   * Shortest time between the starts of two inserts, on average and of all partitions of this
   * process together: bounds the number of parts.
   */
  batchIntervalMs: number;
  window: WindowLimits;
  /** Of the ids in the window; keyed at random where none is given. */
  keyHash?: KeyHash;
}

/** A partition at work. */
export interface Partition extends ProcessorOptions {
  partition: number;
  logId: number;
  /** The number that the store knows this writer by; `retake` changes it. */
  owner: number;
  /**
   * Makes sure that no earlier insert can come in any more. Of a log that others have open as well
   * the partition is taken over once more, under a new number: that is right also for an insert that
   * was given up and that a server has not begun to read.
   * @throws AppError `store_…`, or `taken_over` when it is another one's by now.
   */
  retake(): Promise<void>;
  erasedIds: ErasedIds;
  signal: AbortSignal;
  turn: Turn;
  insertSeconds: (value: number) => void;
  onBatch: () => void;
  /** How long to wait after an insert that began at this time, by `clock.elapsed`. */
  pauseMs: (startedMs: number) => number;
}

/** One after the other on a partition: its batches, and what is done between them. */
export interface Turn {
  take<T>(work: () => Promise<T>): Promise<T>;
  opened: PromiseWithResolvers<{ owned: Partition; window: Window }>;
}
