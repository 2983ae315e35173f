/**
 * One partition of the file log: places records into groups, flushes a group at a time, reserves
 * disk space ahead, reads, commits, and deletes what retention allows.
 *
 * While a group is written and flushed, the next one collects (group commit). Records are placed
 * only where blocks are already allocated, so a full disk is met before an append, never in it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { check } from '../base/check.ts';
import { AppError } from '../base/errors.ts';
import { type Bell, createBell } from './bell.ts';
import type { CommitFile } from './commit-file.ts';
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
import { Reserve, type ReserveOptions } from './reserve.ts';
import { createRetention, type Retention, type RetentionOptions } from './retention.ts';
import type { Segment } from './segment.ts';

const SPARE_BUFFERS_MAX = 2;

export interface PartitionOptions extends ReserveOptions, RetentionOptions {
  logId: string;
  seed: number;
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

export class Partition {
  readonly bell: Bell = createBell();
  readonly reserve: Reserve;
  readonly retention: Retention;
  /** One past the last durable record. */
  end: number;
  /** Time of the first record that is not committed. */
  oldestWaitingMs: number | undefined;
  readonly #options: PartitionOptions;
  readonly #segments: Segment[];
  readonly #commits: CommitFile;
  readonly #reader: Reader;
  #nextOffset: number;
  #filling: FillingGroup | undefined;
  #groups: FillingGroup[] = [];
  #isFlushing = false;
  /** Of a group's buffer, unless one record needs more; no group is larger than its segment. */
  readonly #bufferBytes: number;
  #spareBuffers: Buffer[] = [];
  #committing: Promise<void> = Promise.resolve();
  /** The segment whose file is open for writing. */
  #held: Segment | undefined;
  #failure: Error | undefined;

  constructor(options: PartitionOptions, recovered: Recovered) {
    this.#options = options;
    this.#bufferBytes = Math.min(GROUP_BYTES_MAX, options.segmentBytes) + SEGMENT_HEADER_BYTES;
    this.#segments = recovered.segments;
    this.#commits = recovered.commits;
    this.end = recovered.end;
    this.#nextOffset = recovered.end;
    this.#held = recovered.segments.at(-1);
    this.#reader = createReader(recovered.segments, options.seed);
    this.reserve = new Reserve(options, recovered.segments);
    this.retention = createRetention(
      options,
      recovered.segments,
      () => recovered.commits.state.offset,
    );
  }

  get first(): number {
    return this.#segments[0]?.base ?? 0;
  }

  /** The base of the last segment that was begun before this time. */
  offsetSince(sinceMs: number): number {
    const begun = this.#segments.filter(({ durableBytes }) => durableBytes > 0);
    return begun.findLast(({ createdMs }) => createdMs <= sinceMs)?.base ?? this.first;
  }

  get committed(): Committed {
    return { offset: this.#commits.state.offset, note: this.#commits.state.note };
  }

  get bytesOnDisk(): number {
    const begun = this.#segments.reduce((sum, segment) => sum + segment.reservedBytes, 0);
    return begun + (this.reserve.next?.reservedBytes ?? 0);
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
      if (place === 'next segment' && this.reserve.next !== undefined && !hasRolled) {
        hasRolled = true;
        segment = this.reserve.next;
        at = SEGMENT_HEADER_BYTES;
        place = this.#placeFor(cost, segment, at, 0);
      }
      if (place === 'next segment' || place === 'wait') {
        this.reserve.wantMore();
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
    const segment = this.reserve.takeNext();
    segment.base = this.#nextOffset;
    segment.createdMs = this.#options.clock.now();
    this.#segments.push(segment);
    return segment;
  }

  #beginGroup(segment: Segment, record: NewRecord, cost: number): FillingGroup {
    const headerAt = segment.placedBytes === 0 ? SEGMENT_HEADER_BYTES : 0;
    const usedBytes = headerAt + GROUP_HEADER_BYTES;
    const bytesMax = Math.max(this.#bufferBytes, SEGMENT_HEADER_BYTES + GROUP_HEADER_BYTES + cost);
    const spare = bytesMax > this.#bufferBytes ? undefined : this.#spareBuffers.pop();
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
    this.reserve.start();
    return this.#filling;
  }

  async #flushAll(): Promise<void> {
    // One turn of the event loop, so that all requests that are already there share the flush.
    await nextTurn();
    for (;;) {
      const [group] = this.#groups;
      if (group === undefined || this.#failure !== undefined) break;
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
    if (buffer.length === this.#bufferBytes && this.#spareBuffers.length < SPARE_BUFFERS_MAX) {
      this.#spareBuffers.push(buffer);
    }
    if (headerAt > 0) {
      await this.#held?.release();
      this.#held = segment;
      this.retention.start();
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
    if (this.#failure !== undefined) throw this.#failure;
    const { state } = this.#commits;
    check(offset >= state.offset && offset <= this.end, `${offset} can be committed`);
    try {
      await this.#commits.write({ offset, note, durableEnd: this.end });
    } catch (error) {
      this.#options.onFailure(error);
      throw this.#failure ?? error;
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

  /** Ends all work: rejects what runs, wakes who waits, writes nothing more. */
  fail(error: Error): void {
    this.#failure = error;
    this.reserve.stop();
    const calls = new Set(this.#groups.flatMap((group) => group.calls.splice(0)));
    for (const call of calls) call.fail(error);
    this.bell.ring();
  }

  /** Ends background work and closes the files. Appends have ended, or the log has failed. */
  async close(): Promise<void> {
    this.bell.ring();
    await Promise.all([this.reserve.close(), this.retention.close(), this.#committing]);
    const { state } = this.#commits;
    // From here on it is known how far the records must reach.
    if (this.#failure === undefined && state.durableEnd !== this.end) {
      await this.#commits.write({ ...state, durableEnd: this.end });
    }
    await this.#commits.close();
    await this.#held?.release();
  }
}
