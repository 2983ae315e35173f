/**
 * Reads a partition from any offset. It asks the leader itself and keeps no position: who reads says
 * from where. Waiting has a connection of its own for each partition, because a broker answers the
 * requests of a connection one after the other.
 */
import { type ConnectionPool, fetchV13 } from '@platformatic/kafka';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { LogRecord, ReadLimits } from '../log.ts';
import type { KafkaAddress } from './address.ts';
import { closeInTime, createPool, untilAnswered } from './connect.ts';
import { saidBy } from './refusal.ts';
import { EARLIEST, LATEST, type WatchedTopic } from './topic.ts';

/** How long a broker holds a request back until there is a record. */
const HELD_MS_MAX = 1_000;
/** Of one request; a batch that is larger comes whole. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;
const TRY_MS_MAX = 15_000;
/** How long it waits to look again where nothing is yet. */
const AHEAD_MS = 20;
const IS_TRANSACTIONAL = 0b010000;
const IS_CONTROL = 0b100000;
const READ_COMMITTED = 1;
/** Of the key of a control record, as its second number. */
const ABORT_MARK = 0;

export interface ReaderOptions {
  address: KafkaAddress;
  topic: WatchedTopic;
  partition: number;
  clock: Clock;
  /** For requests that wait for nothing, shared by all partitions. */
  pool: ConnectionPool;
}

export interface Reader {
  /** @throws AppError `log_gone`, `log_corrupt`, `log_unreachable`. */
  read(from: number, limits: ReadLimits): Promise<LogRecord[]>;
  /** The time of the record at this offset, if it was the first one of a read lately. */
  timeOf(offset: number): number | undefined;
  /** One past the last record that was read. */
  seen(): number;
  close(): Promise<void>;
}

/** What one request gave, up to before `next`, of what was there: up to before `end`. */
interface Piece {
  records: LogRecord[];
  next: number;
  end: number;
}

type FetchResponsePartition = Awaited<
  ReturnType<typeof fetchV13.api.async>
>['responses'][number]['partitions'][number];

const FIRSTS_MAX = 64;

export function createReader(options: ReaderOptions): Reader {
  const { address, topic, partition, clock } = options;
  const waitingPool = createPool(address);
  /** What a request gave beyond the limits of who asked, for who reads on there. */
  let rest: Piece = { records: [], next: 0, end: 0 };
  const firsts = new Map<number, number>();
  let seen = 0;

  async function fetch(from: number, bytesMax: number, waitMs: number): Promise<Piece> {
    const bytes = Math.min(bytesMax, REQUEST_BYTES_MAX);
    const where = {
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(from),
      lastFetchedEpoch: -1,
      partitionMaxBytes: bytes,
    };
    try {
      const { id, leaderOf } = topic.now();
      const leader = leaderOf(partition) ?? (await topic.refresh()).leaderOf(partition);
      const pool = waitMs > 0 ? waitingPool : options.pool;
      // Without a broker to ask the pool says so, and it is tried again.
      const connection = await pool.get(leader ?? { host: '', port: 0 });
      const wanted = [{ topicId: id, partitions: [where] }];
      const wait = Math.ceil(waitMs);
      const level = READ_COMMITTED;
      const answer = await fetchV13.api.async(
        connection,
        wait,
        1,
        bytes,
        level,
        0,
        -1,
        wanted,
        [],
        '',
      );
      const [found] = answer.responses[0]?.partitions ?? [];
      return found === undefined ? { records: [], next: from, end: from } : pieceOf(found, from);
    } catch (error) {
      if (saidBy(error, 'OFFSET_OUT_OF_RANGE')) return outOfRange(from, waitMs);
      await topic.refresh();
      throw error;
    }
  }

  /** What lies ahead comes later; what lies behind, or was there, never does. */
  async function outOfRange(from: number, waitMs: number): Promise<Piece> {
    const where = `Partition ${partition} of ${address.topic}`;
    const begin = await offsetAt(EARLIEST);
    if (from < begin)
      throw new AppError('log_gone', `${where} begins at ${begin}; ${from} was deleted.`);
    // A replica that is behind may have answered: the leader knows where it ends.
    await topic.refresh();
    const end = await offsetAt(LATEST);
    if (end < from && from <= seen)
      throw new AppError('log_corrupt', `${where} ends at ${end}, and ${from} was there already.`);
    await clock.sleep(Math.min(waitMs, AHEAD_MS));
    return { records: [], next: from, end: from };
  }

  async function offsetAt(time: bigint): Promise<number> {
    return (await topic.offsetsAt([partition], time)).get(partition) ?? 0;
  }

  /** One request, or what is left of the last one. */
  async function readPiece(from: number, bytesMax: number, waitMs: number): Promise<Piece> {
    const skipped = rest.records.findIndex(({ offset }) => offset === from);
    if (skipped === -1) return fetch(from, bytesMax, waitMs);
    const piece = { ...rest, records: rest.records.slice(skipped) };
    rest = { records: [], next: 0, end: 0 };
    return piece;
  }

  return {
    async read(from, { recordsMax, bytesMax, waitMs, signal }) {
      const untilMs = clock.elapsed() + waitMs;
      const found: LogRecord[] = [];
      let bytes = 0;
      for (let next = from; ; ) {
        const leftMs = found.length > 0 ? 0 : Math.max(0, untilMs - clock.elapsed());
        const heldMs = Math.min(leftMs, HELD_MS_MAX);
        const retries = {
          clock,
          topic: address.topic,
          msMax: TRY_MS_MAX,
          isOpen: true,
          ...(signal && { signal }),
        };
        const ask = () => readPiece(next, bytesMax - bytes, heldMs);
        const asking = untilAnswered(retries, ask);
        const piece = leftMs > 0 ? await orTimeUp(asking, clock, leftMs, signal) : await asking;
        if (piece === undefined) return found;
        const end = piece.records.findIndex((record, i) => {
          bytes += record.bytes.length;
          const isOver = found.length + i >= recordsMax || bytes > bytesMax;
          return isOver && found.length + i > 0;
        });
        const taken = end === -1 ? piece.records : piece.records.slice(0, end);
        for (const record of taken) found.push(record);
        if (end !== -1) rest = { ...piece, records: piece.records.slice(end) };
        const isAll = piece.next >= piece.end && (found.length > 0 || leftMs === 0);
        next = piece.next;
        if (end !== -1 || found.length >= recordsMax || isAll || signal?.aborted) break;
      }
      seen = Math.max(seen, (found.at(-1)?.offset ?? -1) + 1);
      const [first] = found;
      if (first !== undefined) {
        firsts.delete(first.offset);
        firsts.set(first.offset, first.timeMs);
        const [oldest] = firsts.keys();
        if (firsts.size > FIRSTS_MAX && oldest !== undefined) firsts.delete(oldest);
      }
      return found;
    },
    timeOf: (offset) => firsts.get(offset),
    seen: () => seen,
    close: () => closeInTime(waitingPool, clock),
  };
}

/** Undefined when the time is over or the signal fires first; what is asked then ends unheard. */
async function orTimeUp<T>(
  asking: Promise<T>,
  clock: Clock,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  const answered = new AbortController();
  const either =
    signal === undefined ? answered.signal : AbortSignal.any([signal, answered.signal]);
  asking.catch(() => undefined);
  try {
    return await Promise.race([asking, clock.sleep(ms, either).then(() => undefined)]);
  } finally {
    answered.abort();
  }
}

/** Records from offset `from` on, without marks and without what a transaction has taken back. */
function pieceOf(answer: FetchResponsePartition, from: number): Piece {
  const records: LogRecord[] = [];
  let next = from;
  const aborted = [...(answer.abortedTransactions ?? [])].sort((a, b) =>
    Number(a.firstOffset - b.firstOffset),
  );
  const takenBack = new Set<bigint>();
  for (const batch of answer.records ?? []) {
    const begin = Number(batch.firstOffset);
    next = Math.max(next, begin + batch.lastOffsetDelta + 1);
    while (aborted[0] !== undefined && Number(aborted[0].firstOffset) < next)
      takenBack.add(aborted.shift()?.producerId ?? -1n);
    if ((batch.attributes & IS_CONTROL) !== 0) {
      if (batch.records[0]?.key?.readInt16BE(2) === ABORT_MARK) takenBack.delete(batch.producerId);
      continue;
    }
    if ((batch.attributes & IS_TRANSACTIONAL) !== 0 && takenBack.has(batch.producerId)) continue;
    const timeMs = Number(batch.firstTimestamp);
    for (const { offsetDelta, timestampDelta, value } of batch.records) {
      const offset = begin + offsetDelta;
      if (offset < from) continue;
      records.push({ offset, timeMs: timeMs + Number(timestampDelta), bytes: value ?? NOTHING });
    }
  }
  return { records, next, end: Number(answer.lastStableOffset) };
}

const NOTHING = new Uint8Array();
