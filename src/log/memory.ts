/**
 * The log in memory, for tests of the stages around it: the same contract, nothing durable.
 * Committed records are dropped when their space is needed.
 */
import { randomUUID } from 'node:crypto';
import { check } from '../base/check.ts';
import { type Clock, realClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { type Bell, createBell } from './bell.ts';
import { type Committed, type Log, type LogRecord, NOTE_BYTES_MAX } from './log.ts';
import { ownAll } from './own-all.ts';
import { partitionOf } from './partition-of.ts';

export interface MemoryLogOptions {
  partitions: number;
  /** Bytes of records that are held; beyond, committed ones go, and then appends are refused. */
  bytesMax?: number;
  clock?: Clock;
}

interface MemoryPartition {
  /** Offset of the first record that is held. */
  first: number;
  records: LogRecord[];
  committed: Committed;
  bell: Bell;
}

const RETRY_AFTER_S = 1;

export function createMemoryLog(options: MemoryLogOptions): Log {
  const { bytesMax = 64 * 1024 * 1024, clock = realClock } = options;
  const partitions = Array.from({ length: options.partitions }, (): MemoryPartition => {
    return { first: 0, records: [], committed: { offset: 0, note: '' }, bell: createBell() };
  });
  let bytesHeld = 0;
  let isClosed = false;

  function refuseIfClosed(): void {
    if (isClosed) {
      throw new AppError('stopping', 'The log is closed.', { retryAfterS: RETRY_AFTER_S });
    }
  }

  function partitionAt(number: number): MemoryPartition {
    const partition = partitions[number];
    check(partition !== undefined, `${number} is a partition of the log`);
    return partition;
  }

  function endOf({ first, records }: MemoryPartition): number {
    return first + records.length;
  }

  function makeRoom(bytes: number): void {
    if (bytes > bytesMax) {
      throw new AppError('too_large', `The log takes ${bytesMax} bytes at once, not ${bytes}.`);
    }
    for (const partition of bytesHeld + bytes > bytesMax ? partitions : []) {
      const dropped = partition.records.splice(0, partition.committed.offset - partition.first);
      partition.first += dropped.length;
      bytesHeld -= sizeOf(dropped);
    }
    if (bytesHeld + bytes > bytesMax) {
      throw new AppError('log_full', 'The log is full.', { retryAfterS: RETRY_AFTER_S });
    }
  }

  return {
    id: randomUUID(),
    partitions: options.partitions,
    isExclusive: true,
    own: ownAll(options.partitions),
    async append(records) {
      refuseIfClosed();
      makeRoom(sizeOf(records));
      const positions = records.map(({ key, bytes, timeMs }) => {
        const number = partitionOf(key, options.partitions);
        const partition = partitionAt(number);
        const offset = endOf(partition);
        partition.records.push({ offset, timeMs, bytes: Uint8Array.from(bytes) });
        bytesHeld += bytes.length;
        return { partition: number, offset };
      });
      for (const { partition } of positions) partitionAt(partition).bell.ring();
      return positions;
    },
    async read(number, from, limits) {
      refuseIfClosed();
      const partition = partitionAt(number);
      const untilMs = clock.elapsed() + limits.waitMs;
      while (from >= endOf(partition)) {
        const waitMs = untilMs - clock.elapsed();
        if (waitMs <= 0 || limits.signal?.aborted || isClosed) return [];
        await partition.bell.wait(clock, waitMs, limits.signal);
      }
      if (from < partition.first) {
        const begin = `Partition ${number} of the log begins at ${partition.first}`;
        throw new AppError('log_gone', `${begin}; ${from} was deleted.`);
      }
      const start = from - partition.first;
      const found = partition.records.slice(start, start + limits.recordsMax);
      let bytes = 0;
      const over = found.findIndex((record, i) => {
        bytes += record.bytes.length;
        return i > 0 && bytes > limits.bytesMax;
      });
      return over === -1 ? found : found.slice(0, over);
    },
    async commit(number, offset, note = '') {
      refuseIfClosed();
      const partition = partitionAt(number);
      const isNext = offset >= partition.committed.offset && offset <= endOf(partition);
      check(isNext, `${offset} can be committed`);
      check(
        Buffer.byteLength(note) <= NOTE_BYTES_MAX,
        `a note has at most ${NOTE_BYTES_MAX} bytes`,
      );
      partition.committed = { offset, note };
    },
    async committed(number) {
      refuseIfClosed();
      return partitionAt(number).committed;
    },
    async offsetSince(number, sinceMs) {
      refuseIfClosed();
      const { first, records } = partitionAt(number);
      const before = records.findIndex(({ timeMs }) => timeMs > sinceMs);
      return first + (before === -1 ? records.length : before);
    },
    stats: async () => ({
      ends: partitions.map(endOf),
      committed: partitions.map(({ committed }) => committed.offset),
      oldestWaitingMs: partitions.map(
        ({ records, committed, first }) => records[committed.offset - first]?.timeMs,
      ),
      bytesOnDisk: 0,
      isFull: bytesHeld >= bytesMax,
    }),
    async close() {
      isClosed = true;
      for (const { bell } of partitions) bell.ring();
    },
  };
}

function sizeOf(records: readonly { bytes: Uint8Array }[]): number {
  return records.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
