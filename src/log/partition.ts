/**
 * One partition of the file log: places records into groups, flushes a group at a time, reserves
 * disk space ahead, reads, commits, and deletes what retention allows.
 *
 * While a group is written and flushed, the next one collects (group commit). Records are placed
 * only where blocks are already allocated, so a full disk is met before an append, never in it.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { check } from '../base/check.ts';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { type Bell, createBell } from './bell.ts';
import type { CommitFile } from './commit-file.ts';
import type { Disk } from './disk.ts';
import {
  GROUP_BYTES_MAX,
  GROUP_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  writeGroupHeader,
  writeRecord,
  writeSegmentHeader,
} from './format.ts';
import {
  type Committed,
  type LogRecord,
  type NewRecord,
  NOTE_BYTES_MAX,
  type ReadLimits,
} from './log.ts';
import { createReader, type Reader } from './reader.ts';
import { Segment } from './segment.ts';

/** Space is reserved in steps, so that the first append waits for a small one only. */
const RESERVE_STEP_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(RESERVE_STEP_BYTES);
/** How often a full disk is tried again. */
const NO_ROOM_RETRY_MS = 1_000;
const SPARE_BUFFERS_MAX = 2;

export interface PartitionOptions {
  disk: Disk;
  clock: Clock;
  logger: Logger;
  folder: string;
  logId: string;
  number: number;
  seed: number;
  segmentBytes: number;
  /** How much is kept reserved ahead of the records. */
  aheadBytes: number;
  keepMs: number;
  keepBytes: number;
  keepAlwaysMs: number;
  /** Space was reserved, or there is none. */
  onRoom: () => void;
  /** A write or flush failed. */
  onFailure: (error: unknown) => void;
}

/** What recovery found. */
export interface Recovered {
  segments: Segment[];
  commits: CommitFile;
  /** One past the last record. */
  end: number;
}

/** A running append; settled when all groups that hold its records are durable. */
export interface Call {
  groupsLeft: number;
  succeed(): void;
  fail(error: Error): void;
}

interface FillingGroup {
  segment: Segment;
  position: number;
  firstOffset: number;
  firstTimeMs: number;
  records: number;
  buffer: Buffer;
  /** Where the group's header stands in the buffer: behind the segment's, in its first group. */
  headerAt: number;
  usedBytes: number;
  calls: Call[];
}

export function segmentPath(folder: string, partition: number, sequence: number): string {
  return join(folder, `${partition}-${String(sequence).padStart(10, '0')}.segment`);
}

export class Partition {
  readonly bell: Bell = createBell();
  /** One past the last durable record. */
  end: number;
  /** No space could be reserved the last time. */
  isWithoutRoom = false;
  /** Time of the first record that is not committed. */
  oldestWaitingMs: number | undefined;
  readonly #options: PartitionOptions;
  readonly #segments: Segment[];
  readonly #commits: CommitFile;
  readonly #reader: Reader;
  readonly #stopped = new AbortController();
  #nextOffset: number;
  #nextSegment: Segment | undefined;
  #filling: FillingGroup | undefined;
  #groups: FillingGroup[] = [];
  #isFlushing = false;
  #spareBuffers: Buffer[] = [];
  #isReserving = false;
  #reserving: Promise<void> = Promise.resolve();
  #isRoomWanted = false;
  #committing: Promise<void> = Promise.resolve();
  #trimming: Promise<void> | undefined;

  constructor(options: PartitionOptions, recovered: Recovered) {
    this.#options = options;
    this.#segments = recovered.segments;
    this.#commits = recovered.commits;
    this.end = recovered.end;
    this.#nextOffset = recovered.end;
    this.#reader = createReader(recovered.segments, options.seed);
  }

  get first(): number {
    return this.#segments[0]?.base ?? 0;
  }

  get committed(): Committed {
    return { offset: this.#commits.state.offset, note: this.#commits.state.note };
  }

  get bytesOnDisk(): number {
    const begun = this.#segments.reduce((sum, segment) => sum + segment.reservedBytes, 0);
    return begun + (this.#nextSegment?.reservedBytes ?? 0);
  }

  /** Whether all the records can be placed now. If not, space is being reserved for them. */
  hasRoomFor(records: readonly NewRecord[]): boolean {
    let segment = this.#segments.at(-1);
    let at = segment?.placedBytes ?? 0;
    let groupBytes = this.#fillingBytes();
    let hasRolled = false;
    for (const { bytes } of records) {
      const cost = RECORD_HEADER_BYTES + bytes.length;
      let place = this.#placeFor(cost, segment, at, groupBytes);
      if (place === 'next segment' && this.#nextSegment !== undefined && !hasRolled) {
        hasRolled = true;
        segment = this.#nextSegment;
        at = SEGMENT_HEADER_BYTES;
        place = this.#placeFor(cost, segment, at, 0);
      }
      if (place === 'next segment' || place === 'wait') {
        this.#isRoomWanted = true;
        this.reserve();
        return false;
      }
      groupBytes = place === 'same group' ? groupBytes + cost : GROUP_HEADER_BYTES + cost;
      at += place === 'same group' ? cost : GROUP_HEADER_BYTES + cost;
    }
    return true;
  }

  #fillingBytes(): number {
    return this.#filling === undefined ? 0 : this.#filling.usedBytes - this.#filling.headerAt;
  }

  #placeFor(
    cost: number,
    segment: Segment | undefined,
    at: number,
    groupBytes: number,
  ): 'same group' | 'new group' | 'next segment' | 'wait' {
    if (segment === undefined) return 'next segment';
    const joins = groupBytes > 0 && groupBytes + cost <= GROUP_BYTES_MAX;
    if (joins && at + cost <= segment.reservedBytes) return 'same group';
    if (at + GROUP_HEADER_BYTES + cost <= segment.reservedBytes) return 'new group';
    return segment.reservedBytes < this.#options.segmentBytes ? 'wait' : 'next segment';
  }

  /** Places a record that `hasRoomFor` has allowed; answers its offset. */
  place(record: NewRecord, call: Call): number {
    const cost = RECORD_HEADER_BYTES + record.bytes.length;
    let segment = this.#segments.at(-1);
    const at = segment?.placedBytes ?? 0;
    const place = this.#placeFor(cost, segment, at, this.#fillingBytes());
    if (place === 'next segment') segment = this.#beginSegment();
    check(segment !== undefined && place !== 'wait', 'room was made before a record is placed');
    let group = place === 'same group' ? this.#filling : undefined;
    group ??= this.#beginGroup(segment, record, cost);
    group.usedBytes = writeRecord(group.buffer, group.usedBytes, record, this.#options.seed);
    group.records += 1;
    segment.placedBytes = group.position + group.usedBytes;
    if (group.calls.at(-1) !== call) {
      group.calls.push(call);
      call.groupsLeft += 1;
    }
    this.#nextOffset += 1;
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      this.#flushAll().catch(this.#options.onFailure);
    }
    return this.#nextOffset - 1;
  }

  #beginSegment(): Segment {
    const segment = this.#nextSegment;
    check(segment !== undefined, 'room was made before a segment is begun');
    this.#nextSegment = undefined;
    segment.base = this.#nextOffset;
    segment.createdMs = this.#options.clock.now();
    this.#segments.push(segment);
    return segment;
  }

  #beginGroup(segment: Segment, record: NewRecord, cost: number): FillingGroup {
    const headerAt = segment.placedBytes === 0 ? SEGMENT_HEADER_BYTES : 0;
    const usedBytes = headerAt + GROUP_HEADER_BYTES;
    const bytesMax = Math.max(GROUP_BYTES_MAX, GROUP_HEADER_BYTES + cost) + SEGMENT_HEADER_BYTES;
    const spare =
      bytesMax > GROUP_BYTES_MAX + SEGMENT_HEADER_BYTES ? undefined : this.#spareBuffers.pop();
    this.#filling = {
      segment,
      position: segment.placedBytes,
      firstOffset: this.#nextOffset,
      firstTimeMs: record.timeMs,
      records: 0,
      buffer: spare ?? Buffer.allocUnsafeSlow(bytesMax),
      headerAt,
      usedBytes,
      calls: [],
    };
    this.#groups.push(this.#filling);
    this.reserve();
    return this.#filling;
  }

  async #flushAll(): Promise<void> {
    // One turn of the event loop, so that all requests that are already there share the flush.
    await nextTurn();
    for (;;) {
      const [group] = this.#groups;
      if (group === undefined) break;
      if (this.#filling === group) this.#filling = undefined;
      await this.#flush(group);
      this.#groups.shift();
      await nextTurn();
    }
    this.#isFlushing = false;
  }

  async #flush(group: FillingGroup): Promise<void> {
    const { segment, buffer, headerAt, usedBytes, firstOffset } = group;
    const { seed, logId, number } = this.#options;
    writeGroupHeader(buffer.subarray(headerAt), seed, {
      firstOffset,
      records: group.records,
      bytes: usedBytes - headerAt - GROUP_HEADER_BYTES,
    });
    if (headerAt > 0) {
      const { sequence, base, createdMs } = segment;
      writeSegmentHeader(buffer, { logId, partition: number, sequence, base, createdMs });
      await segment.hold();
    }
    await segment.use(async (file) => {
      await file.write(buffer.subarray(0, usedBytes), group.position);
      await file.fdatasync();
    });
    segment.durableBytes = group.position + usedBytes;
    segment.note({ offset: firstOffset, position: group.position + headerAt });
    if (this.#commits.state.offset === this.end) this.oldestWaitingMs = group.firstTimeMs;
    this.end = firstOffset + group.records;
    // Taken out of the group, so that old objects do not keep young ones alive.
    for (const call of group.calls.splice(0)) {
      call.groupsLeft -= 1;
      if (call.groupsLeft === 0) call.succeed();
    }
    this.bell.ring();
    if (buffer.length === GROUP_BYTES_MAX + SEGMENT_HEADER_BYTES) {
      if (this.#spareBuffers.length < SPARE_BUFFERS_MAX) this.#spareBuffers.push(buffer);
    }
    if (headerAt > 0) {
      await this.#segments[this.#segments.indexOf(segment) - 1]?.release();
      this.trim();
    }
  }

  /** Reserves space in the background until there is enough ahead. */
  reserve(): void {
    if (this.#isReserving || this.#reservable() === undefined) return;
    this.#isReserving = true;
    this.#reserving = this.#reserveAll().catch(this.#options.onFailure);
  }

  /** The segment that wants more space: the one that fills, or else the next one. */
  #reservable(): Segment | 'new' | undefined {
    const { segmentBytes, aheadBytes } = this.#options;
    const filling = this.#segments.at(-1);
    const next = this.#nextSegment;
    const ahead =
      (filling === undefined ? 0 : filling.reservedBytes - filling.placedBytes) +
      (next?.reservedBytes ?? 0);
    if (this.#stopped.signal.aborted || (ahead >= aheadBytes && !this.#isRoomWanted))
      return undefined;
    if (filling !== undefined && filling.reservedBytes < segmentBytes) return filling;
    if (next === undefined) return 'new';
    return next.reservedBytes < segmentBytes ? next : undefined;
  }

  async #reserveAll(): Promise<void> {
    const { clock, logger, onRoom, number } = this.#options;
    for (;;) {
      const segment = this.#reservable();
      if (segment === undefined) break;
      try {
        await this.#reserveStep(segment === 'new' ? await this.#createSegment() : segment);
        if (this.isWithoutRoom) logger.info({ partition: number }, 'the log has room again');
        this.isWithoutRoom = false;
        this.#isRoomWanted = false;
        onRoom();
      } catch (error) {
        if (!isWithoutRoom(error)) throw error;
        if (!this.isWithoutRoom) logger.warn({ partition: number }, 'no room on disk for the log');
        this.isWithoutRoom = true;
        onRoom();
        await clock.sleep(NO_ROOM_RETRY_MS, this.#stopped.signal);
      }
    }
    this.#isReserving = false;
  }

  async #createSegment(): Promise<Segment> {
    const { disk, folder, number } = this.#options;
    const sequence = (this.#segments.at(-1)?.sequence ?? 0) + 1;
    const segment = new Segment(disk, segmentPath(folder, number, sequence), sequence);
    await (await disk.open(segment.path, 'create')).close();
    await disk.syncFolder(folder);
    this.#nextSegment = segment;
    return segment;
  }

  async #reserveStep(segment: Segment): Promise<void> {
    // A handle of its own: an error of these writes must not hide one of the records' writes.
    const file = await this.#options.disk.open(segment.path, 'write');
    try {
      const left = this.#options.segmentBytes - segment.reservedBytes;
      const step = ZEROS.subarray(0, Math.min(left, RESERVE_STEP_BYTES));
      await file.write(step, segment.reservedBytes);
      await file.fdatasync();
      segment.reservedBytes += step.length;
    } finally {
      await file.close();
    }
  }

  /** Records from `from`, which is durable. */
  async read(from: number, limits: ReadLimits): Promise<LogRecord[]> {
    this.#refuseGone(from);
    try {
      return await this.#reader.read(from, this.end, limits);
    } catch (error) {
      // Retention may have come between.
      this.#refuseGone(from);
      throw error;
    }
  }

  #refuseGone(from: number): void {
    if (from >= this.first) return;
    throw new AppError(
      'log_gone',
      `Partition ${this.#options.number} of the log begins at ${this.first}; ${from} was deleted.`,
    );
  }

  async commit(offset: number, note: string): Promise<void> {
    check(Buffer.byteLength(note) <= NOTE_BYTES_MAX, `a note has at most ${NOTE_BYTES_MAX} bytes`);
    const done = this.#committing.then(() => this.#commit(offset, note));
    this.#committing = done.catch(() => undefined);
    await done;
  }

  async #commit(offset: number, note: string): Promise<void> {
    const { state } = this.#commits;
    check(offset >= state.offset && offset <= this.end, `${offset} can be committed`);
    try {
      await this.#commits.write({ offset, note, durableEnd: this.end });
    } catch (error) {
      this.#options.onFailure(error);
      throw error;
    }
    if (offset !== state.offset) await this.findOldestWaiting();
  }

  /** Looks up the time of the first record that is not committed. */
  async findOldestWaiting(): Promise<void> {
    const { offset } = this.#commits.state;
    if (offset === this.end) {
      this.oldestWaitingMs = undefined;
      return;
    }
    const [record] = await this.read(offset, { recordsMax: 1, bytesMax: 1, waitMs: 0 });
    this.oldestWaitingMs = record?.timeMs;
  }

  /** Deletes what retention allows. */
  trim(): void {
    this.#trimming ??= this.#trimAll()
      .catch(this.#options.onFailure)
      .finally(() => {
        this.#trimming = undefined;
      });
  }

  async #trimAll(): Promise<void> {
    const { disk, folder, logger, number } = this.#options;
    for (;;) {
      const [oldest] = this.#segments;
      if (oldest === undefined || !this.#mayDeleteOldest()) return;
      this.#segments.shift();
      await disk.remove(oldest.path);
      // After each: a crash must never leave a gap.
      await disk.syncFolder(folder);
      logger.info({ partition: number, before: this.first }, 'deleted a segment of the log');
    }
  }

  #mayDeleteOldest(): boolean {
    const { clock, keepMs, keepBytes, keepAlwaysMs } = this.#options;
    const isDone = ({ base }: Segment) => base <= this.#commits.state.offset;
    const second = this.#segments[1];
    if (second === undefined || !isDone(second) || second.durableBytes === 0) return false;
    const ageMs = clock.now() - second.createdMs;
    if (ageMs < keepAlwaysMs) return false;
    const doneBytes = this.#segments.reduce((sum, { reservedBytes }, i) => {
      const next = this.#segments[i + 1];
      return next !== undefined && isDone(next) ? sum + reservedBytes : sum;
    }, 0);
    return ageMs >= keepMs || doneBytes > keepBytes;
  }

  /** Rejects what runs and wakes who waits. */
  fail(error: Error): void {
    const calls = new Set(this.#groups.flatMap((group) => group.calls.splice(0)));
    for (const call of calls) call.fail(error);
    this.bell.ring();
  }

  /** Ends background work and closes the files. Appends have ended, or the log has failed. */
  async close(hasFailed: boolean): Promise<void> {
    this.#stopped.abort();
    this.bell.ring();
    await Promise.all([this.#reserving, this.#trimming, this.#committing]);
    const { state } = this.#commits;
    // From here on it is known how far the records must reach.
    if (!hasFailed && state.durableEnd !== this.end) {
      await this.#commits.write({ ...state, durableEnd: this.end });
    }
    await this.#commits.close();
    for (const segment of this.#segments) await segment.release();
  }
}

function isWithoutRoom(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
