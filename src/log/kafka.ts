/**
 * The log on a topic of Kafka, shared by as many collectors and processors as there are.
 *
 * A record is on the log when every replica in sync has it. The record's key is its key here, its
 * partition is chosen here as in every log, its timestamp is the appender's time. Offsets are the
 * topic's, the id of the log is the topic's UUID: a topic that was deleted and made again is another.
 */
import type { ConnectionPool } from '@platformatic/kafka';
import { check } from '../base/check.ts';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { KafkaAddress } from './kafka/address.ts';
import { type Appender, createAppender, sizeOf } from './kafka/appender.ts';
import { closeInTime, createPool, untilAnswered } from './kafka/connect.ts';
import { createGroup, type Group } from './kafka/group.ts';
import { createReader, type Reader } from './kafka/reader.ts';
import { EARLIEST, LATEST, openTopic, type WatchedTopic } from './kafka/topic.ts';
import {
  type Committed,
  type Log,
  type LogStats,
  type NewRecord,
  NOTE_BYTES_MAX,
  type Position,
} from './log.ts';
import { partitionOf } from './partition-of.ts';

export interface KafkaLogOptions {
  address: KafkaAddress;
  /** A topic that somebody else fills: it is not made, and nothing of it is deleted. */
  isForeign: boolean;
  /** How long processed records are kept. */
  keepMs: number;
  /** How long an append waits for the brokers: longer than they take to elect a leader. */
  ackMsMax: number;
  /** After so long without a sign of life a processor's partitions are given to others. */
  sessionMs: number;
  /** Of records that wait for the brokers; beyond, appends are refused. */
  bytesInFlightMax: number;
  clock: Clock;
  logger: Logger;
  /** The topic is another one by now: the process must end. */
  onFatal: (error: Error) => void;
}

const ASK_MS_MAX = 15_000;
const TRIM_EVERY_MS = 60_000;
/** How often it is asked whether the topic is still the one that was opened. */
const WATCH_EVERY_MS = 5_000;
const RETRY_AFTER_S = 1;

/** @throws AppError `bad_setting`, `log_unreachable`. */
export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  const { address, isForeign } = options;
  const topic = await openTopic(address, { ...options, makes: !isForeign });
  const log = new KafkaLog(options, topic);
  log.start();
  return log;
}

class KafkaLog implements Log {
  readonly id: string;
  readonly partitions: number;
  readonly isExclusive = false;
  readonly #options: KafkaLogOptions;
  readonly #topic: WatchedTopic;
  readonly #pool: ConnectionPool;
  readonly #group: Group;
  readonly #appenders: Appender[];
  readonly #readers: Reader[];
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  /** What this process has committed, by partition. */
  readonly #committedUpTo: number[] = [];
  #bytesInFlight = 0;
  #failure: AppError | undefined;

  constructor(options: KafkaLogOptions, topic: WatchedTopic) {
    const { id, partitions } = topic.now();
    this.id = id;
    this.partitions = partitions;
    this.#options = options;
    this.#topic = topic;
    this.#pool = createPool(options.address);
    this.#group = createGroup({ ...options, topic, pool: this.#pool });
    const numbers = Array.from({ length: partitions }, (_, partition) => partition);
    const { batchBytesMax } = topic;
    const shared = { ...options, topic, batchBytesMax, pool: this.#pool };
    this.#appenders = numbers.map((partition) => createAppender({ ...shared, partition }));
    this.#readers = numbers.map((partition) => createReader({ ...shared, partition }));
  }

  start(): void {
    this.#repeat(WATCH_EVERY_MS, () => this.#topic.refresh());
    if (!this.#options.isForeign) this.#repeat(TRIM_EVERY_MS, () => this.#trim());
  }

  /** Now and then, until it is closed; brokers that do not answer are asked again the next time. */
  #repeat(everyMs: number, work: () => Promise<unknown>): void {
    const { clock, logger } = this.#options;
    const { signal } = this.#closing;
    const run = async () => {
      for (;;) {
        await clock.sleep(everyMs, signal);
        if (signal.aborted) return;
        try {
          await work();
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof AppError && error.code === 'log_changed') return this.#fail(error);
          logger.debug({ err: error }, 'the brokers do not answer');
        }
      }
    };
    run().catch((error: Error) => this.#options.onFatal(error));
  }

  #fail(error: AppError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#options.onFatal(error);
  }

  /** The topic is made to keep everything: the brokers do not know what has been processed. */
  async #trim(): Promise<void> {
    const { address, clock, keepMs } = this.#options;
    const committed = await this.#group.committed();
    for (const partition of this.#group.owned()) {
      const done = committed[partition]?.offset ?? 0;
      const old = await this.offsetSince(partition, clock.now() - keepMs);
      const kept = await this.offsetSince(partition, Number.NEGATIVE_INFINITY);
      const first = Math.min(done, old);
      if (first <= kept) continue;
      const topics = [{ name: address.topic, partitions: [{ partition, offset: BigInt(first) }] }];
      await this.#topic.admin.deleteRecords({ topics });
    }
  }

  async append(records: readonly NewRecord[]): Promise<Position[]> {
    this.#refuseUnlessOpen();
    const bytes = sizeOf(records);
    const { bytesInFlightMax } = this.#options;
    if (this.#bytesInFlight > 0 && this.#bytesInFlight + bytes > bytesInFlightMax) {
      const message = 'The brokers are slower than what comes in.';
      throw new AppError('log_full', message, { retryAfterS: RETRY_AFTER_S });
    }
    this.#bytesInFlight += bytes;
    try {
      const positions = records.map(({ key }) => ({
        partition: partitionOf(key, this.partitions),
        offset: -1,
      }));
      const shares = Map.groupBy(records.keys(), (i) => positions[i]?.partition ?? 0);
      const appends = [...shares].map(async ([partition, share]) => {
        const appender = this.#appenders[partition];
        check(appender !== undefined, 'a key has a partition');
        let offset = await appender.append(share.flatMap((i) => records[i] ?? []));
        for (const i of share) {
          const position = positions[i];
          if (position !== undefined) position.offset = offset++;
        }
      });
      // All of them have ended, in one way or another, before it is said how it went.
      const ended = await Promise.allSettled(appends);
      const failed = ended.find((end) => end.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      return positions;
    } finally {
      this.#bytesInFlight -= bytes;
    }
  }

  async read(...[partition, from, limits]: Parameters<Log['read']>): ReturnType<Log['read']> {
    this.#refuseUnlessOpen();
    const reader = this.#readers[partition];
    check(reader !== undefined, `${partition} is a partition of the log`);
    const { signal: closing } = this.#closing;
    const signal =
      limits.signal === undefined ? closing : AbortSignal.any([closing, limits.signal]);
    try {
      return await reader.read(from, { ...limits, signal });
    } catch (error) {
      throw this.#noted(error);
    }
  }

  own(...[signal, work]: Parameters<Log['own']>): Promise<void> {
    return this.#group.own(AbortSignal.any([signal, this.#closing.signal]), work);
  }

  async commit(partition: number, offset: number, note = ''): Promise<void> {
    this.#refuseUnlessOpen();
    const length = Buffer.byteLength(note);
    check(length <= NOTE_BYTES_MAX, `a note has at most ${NOTE_BYTES_MAX} bytes`);
    const before = this.#committedUpTo[partition] ?? (await this.committed(partition)).offset;
    const isSeen = offset <= (this.#readers[partition]?.seen() ?? 0);
    const isNext =
      offset >= before && (isSeen || offset <= (await this.#offsetAt(partition, LATEST)));
    check(isNext, `${offset} can be committed`);
    await this.#group.commit(partition, offset, note);
    this.#committedUpTo[partition] = offset;
  }

  async committed(partition: number): Promise<Committed> {
    this.#refuseUnlessOpen();
    const found = (await this.#group.committed())[partition];
    // What is committed next goes by this one: the group's offsets may have been set back.
    this.#committedUpTo[partition] = found?.offset ?? 0;
    if (found !== undefined) {
      const end = await this.#offsetAt(partition, LATEST);
      if (found.offset <= end) return found;
      throw new AppError(
        'log_corrupt',
        `Partition ${partition} of ${this.#options.address.topic} ends at ${end}, and was processed up to ${found.offset}: the brokers have lost records that they had acknowledged. What is stored is safe; name another topic to go on.`,
      );
    }
    return { offset: await this.offsetSince(partition, Number.NEGATIVE_INFINITY), note: '' };
  }

  async offsetSince(partition: number, sinceMs: number): Promise<number> {
    this.#refuseUnlessOpen();
    if (sinceMs === Number.NEGATIVE_INFINITY) return this.#offsetAt(partition, EARLIEST);
    // The first one of this time or later; none when all are older.
    const time = BigInt(Math.max(0, Math.min(Math.floor(sinceMs), Number.MAX_SAFE_INTEGER)));
    const found = await this.#offsetAt(partition, time);
    return found >= 0 ? found : this.#offsetAt(partition, LATEST);
  }

  async #offsetAt(partition: number, timestamp: bigint): Promise<number> {
    return (await this.#offsetsAt([partition], timestamp)).get(partition) ?? -1;
  }

  async #offsetsAt(partitions: readonly number[], timestamp: bigint): Promise<Map<number, number>> {
    const { address, clock } = this.#options;
    const { signal } = this.#closing;
    const retries = { clock, topic: address.topic, msMax: ASK_MS_MAX, isOpen: true, signal };
    try {
      return await untilAnswered(retries, () => this.#topic.offsetsAt(partitions, timestamp));
    } catch (error) {
      throw this.#noted(error);
    }
  }

  async stats(): Promise<LogStats> {
    this.#refuseUnlessOpen();
    const numbers = Array.from({ length: this.partitions }, (_, partition) => partition);
    // In this order, so that no end lies before what is committed.
    const known = await this.#group.committed();
    const [ends, begins] = await Promise.all([
      this.#offsetsAt(numbers, LATEST),
      known.includes(undefined) ? this.#offsetsAt(numbers, EARLIEST) : new Map<number, number>(),
    ]);
    const committed = known.map((found, partition) => found?.offset ?? begins.get(partition) ?? 0);
    const oldestWaitingMs = await Promise.all(
      committed.map((offset, partition) =>
        offset < (ends.get(partition) ?? 0) ? this.#timeOf(partition, offset) : undefined,
      ),
    );
    return {
      ends: numbers.map((partition) => ends.get(partition) ?? 0),
      committed,
      oldestWaitingMs,
      bytesOnDisk: undefined,
      isFull: false,
    };
  }

  async #timeOf(partition: number, offset: number): Promise<number | undefined> {
    const known = this.#readers[partition]?.timeOf(offset);
    if (known !== undefined) return known;
    const [record] = await this.read(partition, offset, { recordsMax: 1, bytesMax: 1, waitMs: 0 });
    // A topic that others fill may end with what is no record.
    if (record !== undefined || this.#options.isForeign) return record?.timeMs;
    const what = `Partition ${partition} does not give the record at ${offset} yet.`;
    throw new AppError('log_unreachable', what, { retryAfterS: RETRY_AFTER_S });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all(this.#appenders.map((appender) => appender.close()));
    this.#closing.abort();
    await Promise.all(this.#readers.map((reader) => reader.close()));
    const { clock } = this.#options;
    await Promise.all([closeInTime(this.#pool, clock), closeInTime(this.#topic.admin, clock)]);
  }

  #refuseUnlessOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed !== undefined)
      throw new AppError('stopping', 'The log is closed.', { retryAfterS: RETRY_AFTER_S });
  }

  /** An error that says that the log is another one by now ends more than the call. */
  #noted(error: unknown): unknown {
    if (error instanceof AppError && error.code === 'log_changed') this.#fail(error);
    return error;
  }
}
