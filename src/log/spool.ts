/**
 * A spool before a log that others share: while that log does not answer, appends become durable in
 * a log of files on this machine, and they are sent on, in order and with their times, when it
 * answers again.
 *
 * An append whose outcome is not known goes to the spool too, and a batch that was being sent on
 * when the log or the process went away is sent again. So a record may be on the log twice, never
 * not at all; who reads the log knows a copy by what the record says.
 *
 * Nothing of the spool is ever dropped. Beyond its bounds it takes no more.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { check } from '../base/check.ts';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { type Bell, createBell } from './bell.ts';
import type { FileLog } from './file.ts';
import type { Log, LogRecord, LogStats, NewRecord, Position, Spooled } from './log.ts';

export interface SpooledLog extends Log {
  /** As it stands now, whether the log answers or not. */
  spooled(): Spooled;
}

export interface SpoolOptions {
  /** The shared log. */
  log: Log;
  /** Has one partition and keeps nothing that is committed. */
  spool: FileLog;
  /** Bytes of records that wait; 0: none are taken, and what is there is sent on. */
  bytesMax: number;
  /** No more are taken when the oldest waits for longer. */
  ageMsMax: number;
  clock: Clock;
  logger: Logger;
  /** Sending on has failed for a reason that is no answer of the log: the process must end. */
  onFatal: (error: Error) => void;
}

/** What is sent on at once. Small, because what comes in meanwhile waits for the log as well. */
const PIECE = { recordsMax: 500, bytesMax: 256 * 1024, waitMs: 0 };
/** So many records, or one append, share a note of how old the oldest is. */
const STRETCH_RECORDS = 1_000;
/** What is counted at once. */
const COUNTED = { recordsMax: 10_000, bytesMax: 4 * 1024 * 1024, waitMs: 0 };
/** How often a log that is away is asked whether it is back. */
const PROBE_EVERY_MS = 1_000;
/** One that answers and takes nothing is tried less and less often: each try may leave copies. */
const PAUSE_MS_MAX = 30_000;
/** How long who asks waits for a log that is away: known to be so, it is not waited for till it gives up. */
const SOON_MS = 500;
/** How long a log that is away may take to be closed. */
const CLOSE_MS_MAX = 1_000;
const RETRY_AFTER_S = 5;
/** Before the bytes of a record on the spool: how long its key is. The key follows. */
const KEY_LENGTH_BYTES = 4;

/** @throws AppError `log_corrupt` when what waits on the spool cannot be read. */
export async function openSpooledLog(options: SpoolOptions): Promise<SpooledLog> {
  check(options.spool.partitions === 1, 'a spool has one partition');
  return new LogBehindSpool(options, await countWaiting(options.spool));
}

/** Some records that follow each other on the spool, though not always in the order of their times. */
interface Stretch {
  /** One past the last. */
  end: number;
  records: number;
  oldestMs: number;
}

interface Waiting {
  /** Also of what is on its way to the spool. */
  bytes: number;
  stretches: Stretch[];
}

/** What earlier runs have left. */
async function countWaiting(spool: FileLog): Promise<Waiting> {
  const waiting: Waiting = { bytes: 0, stretches: [] };
  let { offset } = await spool.committed(0);
  for (;;) {
    const records = await spool.read(0, offset, COUNTED);
    if (records.length === 0) return waiting;
    waiting.bytes += sizeOf(records);
    offset += records.length;
    noteStretch(waiting.stretches, offset, records);
    await nextTurn();
  }
}

function noteStretch(stretches: Stretch[], end: number, added: readonly { timeMs: number }[]) {
  const oldestMs = oldestOf(added);
  const last = stretches.at(-1);
  if (last === undefined || last.records >= STRETCH_RECORDS) {
    stretches.push({ end, records: added.length, oldestMs });
    return;
  }
  last.end = Math.max(last.end, end);
  last.records += added.length;
  last.oldestMs = Math.min(last.oldestMs, oldestMs);
}

function oldestOf(records: readonly { timeMs: number }[]): number {
  return records.reduce((oldest, { timeMs }) => Math.min(oldest, timeMs), Number.POSITIVE_INFINITY);
}

class LogBehindSpool implements SpooledLog {
  readonly own: Log['own'];
  readonly read: Log['read'];
  readonly commit: Log['commit'];
  readonly committed: Log['committed'];
  readonly offsetSince: Log['offsetSince'];
  readonly #options: SpoolOptions;
  #isAway = false;
  readonly #waiting: Waiting;
  /** Of the last append that was refused, until something has left: so much room is not there. */
  #refusedBytes = 1;
  readonly #running = new Set<Promise<Position[]>>();
  /** Rung when there is something to send on, or to ask for. */
  readonly #bell: Bell = createBell();
  readonly #stop = new AbortController();
  readonly #sending: Promise<void>;
  #asking: Promise<boolean> | undefined;
  #closing: Promise<void> | undefined;
  /**
   * By partition: what was sent on lies behind younger records, so the first that waits does not
   * tell since when something waits. One past the last of them, and the oldest time.
   */
  readonly #sentOn = new Map<number, { end: number; oldestMs: number }>();

  constructor(options: SpoolOptions, waiting: Waiting) {
    const { log, onFatal } = options;
    this.#options = options;
    this.#waiting = waiting;
    this.own = log.own.bind(log);
    this.read = log.read.bind(log);
    this.commit = log.commit.bind(log);
    this.committed = log.committed.bind(log);
    this.offsetSince = log.offsetSince.bind(log);
    this.#sending = this.#sendOn().catch((error: Error) => {
      if (!this.#stop.signal.aborted) onFatal(error);
    });
  }

  get id(): string {
    return this.#options.log.id;
  }

  get partitions(): number {
    return this.#options.log.partitions;
  }

  get isExclusive(): boolean {
    return this.#options.log.isExclusive;
  }

  async append(records: readonly NewRecord[]): Promise<Position[]> {
    if (this.#closing !== undefined) {
      throw new AppError('stopping', 'The log is closed.', { retryAfterS: RETRY_AFTER_S });
    }
    const appending = this.#append(records);
    this.#running.add(appending);
    try {
      return await appending;
    } finally {
      this.#running.delete(appending);
    }
  }

  async #append(records: readonly NewRecord[]): Promise<Position[]> {
    const { log, bytesMax } = this.#options;
    if (!this.#isAway || bytesMax === 0 || records.length === 0) {
      try {
        return await log.append(records);
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        this.#noteAway(error);
        if (bytesMax === 0) throw error;
      }
    }
    await this.#keep(records);
    return [];
  }

  #noteAway(err: AppError): void {
    if (!this.#isAway) {
      const { bytes, records } = this.spooled();
      this.#options.logger.warn({ err, bytes, records }, 'the log does not answer: spooling');
    }
    this.#isAway = true;
    this.#bell.ring();
  }

  async #keep(records: readonly NewRecord[]): Promise<void> {
    const kept = records.map(withKey);
    const bytes = sizeOf(kept);
    const refusal = this.#refusal(bytes);
    if (refusal !== undefined) {
      this.#refusedBytes = bytes;
      throw new AppError('log_full', refusal, { retryAfterS: RETRY_AFTER_S });
    }
    this.#waiting.bytes += bytes;
    try {
      const positions = await this.#options.spool.append(kept);
      noteStretch(this.#waiting.stretches, (positions.at(-1)?.offset ?? 0) + 1, records);
    } catch (error) {
      this.#waiting.bytes -= bytes;
      throw error;
    }
    this.#bell.ring();
  }

  /** Why `bytes` more are not taken. */
  #refusal(bytes: number): string | undefined {
    const { spool, bytesMax, ageMsMax, clock } = this.#options;
    const nowMs = clock.now();
    const ageMs = nowMs - (this.#oldestMs() ?? nowMs);
    let why: string | undefined;
    if (this.#waiting.bytes + bytes > bytesMax) why = 'is full';
    else if (ageMs > ageMsMax) why = 'has kept its oldest record for as long as it may';
    else if (spool.statsNow().isFull) why = 'has no room on its disk';
    return why && `The log does not answer, and the spool ${why}.`;
  }

  #oldestMs(): number | undefined {
    const { stretches } = this.#waiting;
    if (stretches.length === 0) return undefined;
    return stretches.reduce((oldest, s) => Math.min(oldest, s.oldestMs), Number.POSITIVE_INFINITY);
  }

  spooled(): Spooled {
    const { ends, committed } = this.#options.spool.statsNow();
    return {
      records: (ends[0] ?? 0) - (committed[0] ?? 0),
      bytes: this.#waiting.bytes,
      oldestMs: this.#oldestMs(),
      isLogAnswering: !this.#isAway,
      refusal: this.#isAway ? this.#refusal(this.#refusedBytes) : undefined,
    };
  }

  /** Those of the log, but that what was sent on out of the order of its times counts as well. */
  async stats(): Promise<LogStats> {
    // It may take no records and still answer.
    if (this.#isAway && !(await this.#answersSoon())) {
      const message = 'What is on the log is not known until it answers again.';
      throw new AppError('log_unreachable', message, { retryAfterS: RETRY_AFTER_S });
    }
    const stats = await this.#options.log.stats();
    const oldestWaitingMs = [...stats.oldestWaitingMs];
    for (const [partition, { end, oldestMs }] of this.#sentOn) {
      if ((stats.committed[partition] ?? 0) >= end) this.#sentOn.delete(partition);
      else oldestWaitingMs[partition] = Math.min(oldestMs, oldestWaitingMs[partition] ?? oldestMs);
    }
    return { ...stats, oldestWaitingMs };
  }

  async #sendOn(): Promise<void> {
    const { log, spool, clock, logger } = this.#options;
    const { signal } = this.#stop;
    let recordsMax = PIECE.recordsMax;
    let pauseMs = PROBE_EVERY_MS;
    while (!signal.aborted) {
      // What is asked leaves nothing behind; a piece that is tried in vain may.
      if (this.#isAway && !(await this.#answers())) {
        await clock.sleep(PROBE_EVERY_MS, signal);
        continue;
      }
      const { offset } = await spool.committed(0);
      const records = await spool.read(0, offset, { ...PIECE, recordsMax });
      if (records.length === 0) {
        this.#noteBack();
        await this.#bell.wait(clock, PROBE_EVERY_MS, signal);
        continue;
      }
      try {
        const plain = records.map(withoutKey);
        this.#noteSentOn(plain, await log.append(plain));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        if (error.code === 'log_unreachable') this.#noteAway(error);
        else if (error.code === 'too_large' && records.length > 1) {
          recordsMax = Math.ceil(records.length / 2);
          continue;
        } else if (!['log_full', 'stopping'].includes(error.code))
          logger.warn({ err: error }, 'the log does not take what is on the spool');
        await clock.sleep(pauseMs, signal);
        pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2);
        continue;
      }
      await spool.commit(0, offset + records.length);
      this.#waiting.bytes -= sizeOf(records);
      const { stretches } = this.#waiting;
      while ((stretches[0]?.end ?? Infinity) <= offset + records.length) stretches.shift();
      this.#refusedBytes = 1;
      this.#noteBack();
      recordsMax = Math.min(PIECE.recordsMax, recordsMax * 2);
      pauseMs = PROBE_EVERY_MS;
      // New appends go first.
      await nextTurn();
    }
  }

  /** One question at a time, however many wait for its answer. */
  #answers(): Promise<boolean> {
    const noAnswer = (error: unknown): false => {
      if (error instanceof AppError) return false;
      throw error;
    };
    this.#asking ??= this.#options.log
      .stats()
      .then(() => true, noAnswer)
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  async #answersSoon(): Promise<boolean> {
    const answered = new AbortController();
    const late = this.#options.clock.sleep(SOON_MS, answered.signal).then(() => false);
    return Promise.race([this.#answers(), late]).finally(() => answered.abort());
  }

  #noteBack(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    const { bytes, records } = this.spooled();
    this.#options.logger.info({ bytes, records }, 'the log answers again');
  }

  #noteSentOn(records: readonly NewRecord[], positions: readonly Position[]): void {
    for (const [i, { partition, offset }] of positions.entries()) {
      const known = this.#sentOn.get(partition);
      const timeMs = records[i]?.timeMs ?? Number.POSITIVE_INFINITY;
      this.#sentOn.set(partition, {
        end: Math.max(known?.end ?? 0, offset + 1),
        oldestMs: Math.min(known?.oldestMs ?? timeMs, timeMs),
      });
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /**
   * The spool last: what the log has not taken by its end goes there. A log that is away is not
   * waited for long: nobody has been told that what is on its way to it is durable.
   */
  async #close(): Promise<void> {
    const { log, spool, clock } = this.#options;
    this.#stop.abort();
    const ended = new AbortController();
    const closing = log
      .close()
      .then(() => Promise.allSettled([...this.#running, this.#sending]))
      .finally(() => ended.abort());
    try {
      if (this.#isAway) await Promise.race([closing, clock.sleep(CLOSE_MS_MAX, ended.signal)]);
      else await closing;
    } finally {
      await spool.close();
    }
  }
}

export function isUnreachable(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'log_unreachable';
}

/** A log of files does not give keys back. */
function withKey({ key, bytes, timeMs }: NewRecord): NewRecord {
  const keyBytes = Buffer.from(key);
  const length = Buffer.alloc(KEY_LENGTH_BYTES);
  length.writeUInt32LE(keyBytes.length);
  return { key: '', bytes: Buffer.concat([length, keyBytes, bytes]), timeMs };
}

/** A copy: a log that has given up on an append may still be sending it. */
function withoutKey({ bytes, timeMs }: LogRecord): NewRecord {
  const buffer = Buffer.from(bytes);
  const keyEnd = KEY_LENGTH_BYTES + buffer.readUInt32LE(0);
  return {
    key: buffer.toString('utf8', KEY_LENGTH_BYTES, keyEnd),
    bytes: buffer.subarray(keyEnd),
    timeMs,
  };
}

function sizeOf(records: readonly { bytes: Uint8Array }[]): number {
  return records.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
