/**
 * The log as segment files in one folder.
 *
 *   log.json                 {version, id, partitions, created_at}
 *   lock                     held by the process that has the folder open; its pid
 *   0-0000000001.segment     partition and number of the segment (format.ts)
 *   0.commit                 what was committed of the partition (commit-file.ts)
 *
 * An append resolves after one write and one fdatasync that it shares with all appends that came
 * meanwhile. It waits while space for it is being reserved, and is refused when the disk is full.
 * The blocks of a segment are written once as zeros before they are used, so that a full disk is
 * met there. (On a file system that writes each change to a new place, a full disk can still be met
 * by the write of a record: that is fatal like every failed write or flush, which are never tried
 * again, because the kernel may have dropped what it could not write.)
 */
import { check } from '../base/check.ts';
import { AppError } from '../base/errors.ts';
import type { Lock } from './disk.ts';
import { GROUP_HEADER_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES } from './format.ts';
import type { Log, LogStats, NewRecord, Position } from './log.ts';
import { type FileLogOptions, lockFolder, openPartitions } from './open-folder.ts';
import { ownAll } from './own-all.ts';
import type { Call, Partition } from './partition.ts';
import { partitionOf } from './partition-of.ts';

const RETRY_AFTER_S = 2;
const TRIM_EVERY_MS = 60_000;

export interface FileLog extends Log {
  /** As `stats`, without waiting. */
  statsNow(): LogStats;
}

interface Share {
  partition: Partition;
  records: readonly NewRecord[];
}

/** An append that has not ended: it waits for room, or for its flushes. */
class Append implements Call {
  groupsLeft = 0;
  readonly promise: Promise<Position[]>;
  readonly bytes: number;
  /** Where the records go; empty once they are placed. */
  shares: Share[];
  records: readonly NewRecord[];
  readonly positions: Position[] = [];
  readonly #resolve: (positions: Position[]) => void;
  readonly #reject: (error: Error) => void;
  readonly #onEnd: (append: Append) => void;

  constructor(
    records: readonly NewRecord[],
    shares: Share[],
    bytes: number,
    onEnd: (append: Append) => void,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<Position[]>();
    this.records = records;
    this.shares = shares;
    this.bytes = bytes;
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onEnd = onEnd;
  }

  succeed(): void {
    this.#onEnd(this);
    this.#resolve(this.positions);
  }

  fail(error: Error): void {
    this.#onEnd(this);
    this.#reject(error);
  }
}

/**
 * Opens the folder's log, or makes it. The folder exists.
 * @throws AppError `log_locked`, `log_corrupt`, `data_newer`, `bad_setting` (another number of
 *   partitions), `log_full` (no room for the few kilobytes of a new log).
 */
export async function openFileLog(options: FileLogOptions): Promise<FileLog> {
  const lock = await lockFolder(options);
  try {
    const log = new SegmentLog(options, lock);
    await log.open();
    return log;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

class SegmentLog implements FileLog {
  id = '';
  readonly partitions: number;
  readonly isExclusive = true;
  readonly own: Log['own'];
  readonly #options: FileLogOptions;
  readonly #lock: Lock;
  #partitions: Partition[] = [];
  #failure: AppError | undefined;
  #closing: Promise<void> | undefined;
  readonly #trimStop = new AbortController();
  /** Appends that wait for room, in order. */
  #waiting: Append[] = [];
  /** Appends that have not ended. */
  #running = 0;
  #bytesInFlight = 0;
  #onIdle: (() => void) | undefined;

  constructor(options: FileLogOptions, lock: Lock) {
    this.#options = options;
    this.#lock = lock;
    this.partitions = options.partitions;
    this.own = ownAll(options.partitions);
  }

  async open(): Promise<void> {
    const { id, partitions } = await openPartitions(this.#options, {
      onRoom: () => this.#admitWaiting(),
      onFailure: (error) => this.#fail(error),
    });
    this.id = id;
    this.#partitions = partitions;
    for (const partition of partitions) partition.reserve.start();
    this.#trimNowAndThen();
  }

  append(records: readonly NewRecord[]): Promise<Position[]> {
    try {
      this.#refuseUnlessOpen();
      return records.length === 0 ? Promise.resolve([]) : this.#append(records);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #append(records: readonly NewRecord[]): Promise<Position[]> {
    const bytes = this.#checkSize(records);
    if (this.#bytesInFlight + bytes > this.#options.bytesInFlightMax) {
      throw fullError('More is waiting to be written than the log takes at once.');
    }
    const append = new Append(records, this.#share(records), bytes, this.#onEnd);
    // Refused before anything is changed.
    const isAdmissible = this.#waiting.length === 0 && hasRoom(append);
    if (!isAdmissible && append.shares.some(({ partition }) => partition.reserve.isWithoutRoom)) {
      throw noRoomError();
    }
    this.#running += 1;
    this.#bytesInFlight += bytes;
    if (isAdmissible) this.#place(append);
    else this.#waiting.push(append);
    return append.promise;
  }

  /** The bytes on disk, at most. */
  #checkSize(records: readonly NewRecord[]): number {
    const { segmentBytes, bytesInFlightMax } = this.#options;
    const bytes = records.reduce(
      (sum, record) => sum + record.bytes.length + RECORD_HEADER_BYTES + GROUP_HEADER_BYTES,
      0,
    );
    const bytesMax = Math.min(segmentBytes - SEGMENT_HEADER_BYTES, bytesInFlightMax);
    if (bytes <= bytesMax) return bytes;
    throw new AppError('too_large', `The log takes ${bytesMax} bytes at once, not ${bytes}.`);
  }

  #share(records: readonly NewRecord[]): Share[] {
    const [only] = this.#partitions;
    if (this.partitions === 1 && only !== undefined) return [{ partition: only, records }];
    const shares = new Map<number, { partition: Partition; records: NewRecord[] }>();
    for (const record of records) {
      const number = partitionOf(record.key, this.partitions);
      const partition = this.#partitions[number];
      check(partition !== undefined, 'a key has a partition');
      const share = shares.get(number);
      if (share === undefined) shares.set(number, { partition, records: [record] });
      else share.records.push(record);
    }
    return [...shares.values()];
  }

  #place(append: Append): void {
    for (const record of append.records) {
      const number = partitionOf(record.key, this.partitions);
      const partition = this.#partitions[number];
      check(partition !== undefined, 'a key has a partition');
      append.positions.push({ partition: number, offset: partition.place(record, append) });
    }
    append.shares = [];
    append.records = [];
  }

  readonly #onEnd = ({ bytes }: Append): void => {
    this.#running -= 1;
    this.#bytesInFlight -= bytes;
    if (this.#running === 0) this.#onIdle?.();
  };

  /** In the order they came, so that a large one is not overtaken for ever. */
  #admitWaiting(): void {
    for (;;) {
      const [append] = this.#waiting;
      if (append === undefined) return;
      if (hasRoom(append)) {
        this.#waiting.shift();
        this.#place(append);
      } else if (append.shares.some(({ partition }) => partition.reserve.isWithoutRoom)) {
        this.#waiting.shift();
        append.fail(noRoomError());
      } else return;
    }
  }

  async read(...[number, from, limits]: Parameters<Log['read']>): ReturnType<Log['read']> {
    this.#refuseUnlessOpen();
    const partition = this.#partition(number);
    const { clock } = this.#options;
    const untilMs = clock.elapsed() + limits.waitMs;
    while (from >= partition.end) {
      const waitMs = untilMs - clock.elapsed();
      if (waitMs <= 0 || limits.signal?.aborted || this.#closing !== undefined) return [];
      await partition.bell.wait(clock, waitMs, limits.signal);
      if (this.#failure !== undefined) throw this.#failure;
    }
    return partition.read(from, limits);
  }

  async commit(number: number, offset: number, note = ''): Promise<void> {
    this.#refuseUnlessOpen();
    await this.#partition(number).commit(offset, note);
  }

  async committed(number: number): ReturnType<Log['committed']> {
    this.#refuseUnlessOpen();
    return this.#partition(number).committed;
  }

  async offsetSince(number: number, sinceMs: number): ReturnType<Log['offsetSince']> {
    this.#refuseUnlessOpen();
    return this.#partition(number).offsetSince(sinceMs);
  }

  async stats(): Promise<LogStats> {
    return this.statsNow();
  }

  statsNow(): LogStats {
    return {
      ends: this.#partitions.map(({ end }) => end),
      committed: this.#partitions.map(({ committed }) => committed.offset),
      oldestWaitingMs: this.#partitions.map(({ oldestWaitingMs }) => oldestWaitingMs),
      bytesOnDisk: this.#partitions.reduce((sum, { bytesOnDisk }) => sum + bytesOnDisk, 0),
      isFull: this.#partitions.some(({ reserve }) => reserve.isWithoutRoom),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#running > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle = resolve;
      await promise;
    }
    this.#trimStop.abort();
    for (const partition of this.#partitions) await partition.close();
    await this.#lock.release();
  }

  #partition(number: number): Partition {
    const partition = this.#partitions[number];
    check(partition !== undefined, `${number} is a partition of the log`);
    return partition;
  }

  #refuseUnlessOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) {
      throw new AppError('stopping', 'The log is closed.', { retryAfterS: RETRY_AFTER_S });
    }
  }

  #trimNowAndThen(): void {
    const { clock } = this.#options;
    const trim = async () => {
      while (!this.#trimStop.signal.aborted) {
        for (const partition of this.#partitions) partition.retention.start();
        await clock.sleep(TRIM_EVERY_MS, this.#trimStop.signal);
      }
    };
    trim().catch((error: unknown) => this.#fail(error));
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const what = cause instanceof Error ? cause.message : String(cause);
    const { folder, onFatal } = this.#options;
    const failure = new AppError('log_failed', `The log in ${folder} failed: ${what}.`, { cause });
    this.#failure = failure;
    for (const append of this.#waiting.splice(0)) append.fail(failure);
    for (const partition of this.#partitions) partition.fail(failure);
    onFatal(failure);
  }
}

function hasRoom({ shares }: Append): boolean {
  return shares.every(({ partition, records }) => partition.hasRoomFor(records));
}

function noRoomError(): AppError {
  return fullError('There is no room on the disk of the log.');
}

function fullError(message: string): AppError {
  return new AppError('log_full', message, { retryAfterS: RETRY_AFTER_S });
}
