/**
 * The durable line between collecting and processing: ordered partitions of records.
 * Three verbs move records (append, read, commit), `close` ends it; `own` says which partitions are
 * this process's to commit, `committed` reads back what `commit` wrote, `offsetSince` finds where a
 * time lies. The log knows nothing of analytics: a record is a key, bytes and a time.
 *
 * Every implementation passes log.contract.ts. One record is never seen under two offsets, an
 * offset is never given twice, and within a partition offsets start at 0 and have no gaps.
 */

/** Most bytes of the note of a commit, in UTF-8: Kafka keeps 4,096, some of them for the log's id. */
export const NOTE_BYTES_MAX = 4000;

export interface NewRecord {
  /** Chooses the partition: `crc32(key) % partitions` (ISO-HDLC, as zlib and ClickHouse compute). */
  key: string;
  bytes: Uint8Array;
  /** Milliseconds since 1970 by the appender's clock. */
  timeMs: number;
}

export interface Position {
  partition: number;
  offset: number;
}

export interface LogRecord {
  offset: number;
  timeMs: number;
  /** Valid until the same reader's next call of `read` on the partition. */
  bytes: Uint8Array;
}

export interface ReadLimits {
  recordsMax: number;
  /** At least one record is returned even if it alone is larger. */
  bytesMax: number;
  /** How long to wait for a first record; 0 answers at once. */
  waitMs: number;
  signal?: AbortSignal;
}

export interface Committed {
  /** The first offset that has not been processed. */
  offset: number;
  /** The note of the last commit: the processor's open intent, or empty. */
  note: string;
}

export interface LogStats {
  /** One past the last durable record, per partition. */
  ends: number[];
  committed: number[];
  /** Time of the first record that is not committed, per partition; undefined when none waits. */
  oldestWaitingMs: (number | undefined)[];
  /** Undefined where the disks are others'. */
  bytesOnDisk: number | undefined;
  /** No room was found for more: appends are refused, now or when what is reserved is used up. */
  isFull: boolean;
}

/** Age of the oldest record that waits, in ms by this clock; 0 without one. */
export function behindMs({ oldestWaitingMs }: LogStats, nowMs: number): number {
  return nowMs - Math.min(nowMs, ...oldestWaitingMs.filter((ms) => ms !== undefined));
}

/** What is durable on this machine and not on a log that others share (spool.ts). */
export interface Spooled {
  records: number;
  bytes: number;
  /** Time of the first of them; undefined when there is none. */
  oldestMs: number | undefined;
  /** False from an append that the log did not answer until it has taken one again. */
  isLogAnswering: boolean;
  /** Why appends are refused, as a sentence; undefined while they are taken. */
  refusal: string | undefined;
}

export interface Log {
  /** Unique for ever: the folder's random id, or the topic's UUID. The store numbers it. */
  readonly id: string;
  readonly partitions: number;
  /** Nobody else can have this log open: every partition is this process's until it is closed. */
  readonly isExclusive: boolean;

  /**
   * Resolves, with one position per record in order, when every record is durable; with none at all
   * when they are durable elsewhere and get their positions later (spool.ts). All records of one
   * call and one partition are consecutive. The bytes must not change until then.
   * @throws AppError `log_full` at once, with nothing appended, when the log or its disk cannot
   *   take the records now; the sender may retry. `too_large` when it never could.
   *   `log_unreachable` when the log does not answer: some of them may be on it all the same.
   */
  append(records: readonly NewRecord[]): Promise<Position[]>;

  /**
   * Durable records of `partition` from offset `from` on, in order without gaps; empty when none
   * came within `waitMs` or the signal fired. Asking again gives the same answer. Several may read.
   * @throws AppError `log_gone` when `from` lies before what retention has kept,
   *   `log_corrupt` when a record before the tail does not match its checksum,
   *   `log_unreachable` when the log does not answer.
   */
  read(partition: number, from: number, limits: ReadLimits): Promise<LogRecord[]>;

  /**
   * Calls `work` for every partition that is given to this process, with a signal that fires when
   * it is taken away again or `signal` fires. A partition that is given back later is new work.
   * Resolves when `signal` has fired and all work has ended; rejects with the first fault of any.
   */
  own(
    signal: AbortSignal,
    work: (partition: number, owned: AbortSignal) => Promise<void>,
  ): Promise<void>;

  /**
   * Durable when it resolves: everything before `offset` is never needed again, and `note` is
   * given back by `committed`. Retention may delete what lies before it, never what lies after.
   * @throws AppError `taken_over` when the partition is another process's by now: nothing of this
   *   commit is kept. `log_unreachable` when it is not known whether it is.
   */
  commit(partition: number, offset: number, note?: string): Promise<void>;

  /** What the last `commit` of this partition wrote; `{offset: 0, note: ''}` before the first. */
  committed(partition: number): Promise<Committed>;

  /**
   * An offset before which no record was appended after `sinceMs` (by the clock of the appender, as
   * long as it does not jump back): where to begin reading what came since. Never before the first
   * record that is kept, so that `-Infinity` asks for that one.
   */
  offsetSince(partition: number, sinceMs: number): Promise<number>;

  /** As it stands now. @throws AppError `log_unreachable`. */
  stats(): Promise<LogStats>;

  /** Waits for running appends, then releases the log for another opener. */
  close(): Promise<void>;
}
