/**
 * The processor: batches of the log in, one INSERT a batch out, each record exactly once.
 *
 * Per batch: read → intent (durable, with the committed offset) → rows → INSERT → commit.
 * Whatever happens in between, the data decide: an open intent, or an INSERT with an unknown end,
 * is settled by reading which offsets of its range the store holds and inserting the missing ones.
 * Nothing else is looked at, so a start costs the same after a year as after a minute.
 */
import { check } from '../base/check.ts';
import { AppError } from '../base/errors.ts';
import type { LogRecord } from '../log/log.ts';
import { type Batch, finishBatch } from './batch.ts';
import { type Begin, findBegin, type Intent } from './begin.ts';
import type { Partition, ProcessorOptions, Turn } from './partition.ts';
import { HOLDER_MIN } from './records.ts';
import { createErasedIds, type ErasedIds } from './window/erased-ids.ts';
import { loadWindow, openWindow } from './window/load.ts';
import { createWindow, type Window } from './window/window.ts';

export interface Processor {
  /** Works until the signal fires, then ends after the batch it is in. Rejects on a fault. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when `run` has found every partition to be as the store knows it. */
  opened(): Promise<void>;
  /** Batches stored since the start. */
  batches(): number;
  /** Whether the partition is this process's now. */
  owns(partition: number): boolean;
  /**
   * Runs `work` as the owner of a partition, between two of its batches: nobody else writes then.
   * @throws AppError `taken_over` when the partition is another process's by now.
   */
  between<T>(partition: number, work: (owned: Partition, window: Window) => Promise<T>): Promise<T>;
  /** To be kept up to date by whoever erases: a copy of what was erased is a duplicate. */
  readonly erasedIds: ErasedIds;
}

/** Of the column, an Int32; reached after years, and only a number for people. */
const BATCH_ID_MAX = 2_147_483_647;
/** First wait after the store or the log failed, and the longest. */
const RETRY_MS = 50;
const RETRY_MS_MAX = 2_000;
/** How long a read waits for a first record: only the reaction to `signal` depends on it. */
const READ_WAIT_MS = 1_000;
/** How long a partition is left to whoever took it in the store, while the log says it is ours … */
const TAKEN_OVER_MS = 250;
/** … and to whoever holds it: nothing that is done to stored rows takes longer, or it is dead. */
const HELD_MS_MAX = 90_000;

export function createProcessor(options: ProcessorOptions): Processor {
  const { log, clock } = options;
  /** One for each ownership of a partition; of a partition that is another's, the next one. */
  const turns = Array.from({ length: log.partitions }, createTurn);
  const owned = new Set<number>();
  const erasedIds = createErasedIds({
    records: options.records,
    async sinceMs() {
      const { oldestWaitingMs } = await log.stats();
      const waiting = oldestWaitingMs.filter((ms) => ms !== undefined);
      // Of a clock that runs ahead and is set back later, what is stored says more.
      const newestMs = await options.records.newestMs();
      return Math.min(clock.now(), newestMs, ...waiting) - options.window.windowMs;
    },
  });
  let batches = 0;
  const onBatch = (): void => {
    batches++;
  };
  /** When the next insert may begin, of all partitions together. */
  let nextMs = 0;
  /** How long a partition that has begun an insert at `startedMs` waits before its next one. */
  const pauseMs = (startedMs: number): number => {
    nextMs = Math.max(nextMs, startedMs) + options.batchIntervalMs;
    return nextMs - clock.elapsed();
  };
  return {
    batches: () => batches,
    erasedIds,
    owns: (partition) => owned.has(partition),
    async opened() {
      await Promise.all(turns.map((turn) => turn.opened.promise));
    },
    async between(partition, work) {
      const turn = turns[partition];
      check(turn !== undefined, `${partition} is a partition of the log`);
      const open = await turn.opened.promise;
      return turn.take(() => work(open.owned, open.window));
    },
    async run(signal) {
      const insertSeconds = options.metrics.histogram(
        'clickstream_insert_seconds',
        'Time of one insert into the store.',
        [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      );
      const shared = { ...options, insertSeconds, onBatch, pauseMs, erasedIds };

      async function takeOver(partitions: readonly number[]): Promise<Place> {
        const logId = await options.records.registerLog(log.id);
        const place = { logId, owner: await options.records.takeOver(logId, partitions) };
        // After it: whoever erases makes sure that the owners of before are none any more.
        await erasedIds.load();
        return place;
      }

      async function takeOverShared(partition: number, mine: AbortSignal): Promise<Place> {
        const logId = await options.records.registerLog(log.id);
        const untilMs = clock.elapsed() + HELD_MS_MAX;
        const isHeld = async () =>
          (await options.records.ownerOf({ logId, partition })) >= HOLDER_MIN;
        while (await isHeld()) {
          if (mine.aborted || clock.elapsed() > untilMs) break;
          await clock.sleep(TAKEN_OVER_MS, mine);
        }
        return takeOver([partition]);
      }

      // Of a log that is whole ours all at once, and before anything else.
      const all = turns.map((_, partition) => partition);
      const whole = log.isExclusive
        ? await untilItAnswers(options, signal, () => takeOver(all))
        : undefined;

      /** The partition has changed hands once more: nothing that was known of it is known. */
      async function workOnce(partition: number, mine: AbortSignal): Promise<void> {
        const turn = turns[partition];
        check(turn !== undefined, `${partition} is a partition of the log`);
        owned.add(partition);
        try {
          const unplaced = { ...shared, partition, turn, signal: mine };
          await runPartition(unplaced, async () => whole ?? takeOverShared(partition, mine));
          turn.opened.reject(takenOver(partition));
        } catch (error) {
          turn.opened.reject(error);
          throw error;
        } finally {
          owned.delete(partition);
          if (!signal.aborted) turns[partition] = createTurn();
        }
      }

      await log.own(signal, async (partition, mine) => {
        while (!mine.aborted) {
          try {
            return await workOnce(partition, mine);
          } catch (error) {
            const isTaken = error instanceof AppError && error.code === 'taken_over';
            if (!isTaken || log.isExclusive) throw error;
            const { message } = error;
            options.logger.warn({ partition, message }, 'another one has taken the partition over');
            // Whoever it was, the log decides whose it is: if it is ours, it is taken back.
            await clock.sleep(TAKEN_OVER_MS, mine);
          }
        }
      });
    },
  };
}

function takenOver(partition: number): AppError {
  return new AppError('taken_over', `Partition ${partition} is another process's by now.`);
}

function createTurn(): Turn {
  let last: Promise<unknown> = Promise.resolve();
  const opened: Turn['opened'] = Promise.withResolvers();
  // Who waits for it hears of it.
  opened.promise.catch(() => undefined);
  return {
    opened,
    take(work) {
      const done = last.then(work);
      // Whoever asked for it hears of its fault; the next one takes its turn all the same.
      last = done.catch(() => undefined);
      return done;
    },
  };
}

type Place = Pick<Partition, 'logId' | 'owner'>;

/** From the take-over of a partition until it is given up. */
async function runPartition(
  unplaced: Omit<Partition, keyof Place | 'retake'>,
  takeOver: () => Promise<Place>,
): Promise<void> {
  const { log, partition, signal } = unplaced;
  const taken = await untilItAnswers(unplaced, signal, async () => {
    const place = await takeOver();
    // Read after it: what an earlier owner commits from now on is refused.
    return { place, committed: await log.committed(partition) };
  });
  if (taken === undefined) return;
  const { place, committed } = taken;
  /** Of tries that ended without an answer as well. */
  const numbers = new Set([place.owner]);
  const p: Partition = {
    ...unplaced,
    ...place,
    async retake() {
      // Who was frozen and took it back would go on with its own copy of such a log.
      if (log.isExclusive) return p.records.settle(p);
      if (!numbers.has(await p.records.ownerOf(p))) throw takenOver(partition);
      const owner = p.records.newOwner();
      numbers.add(owner);
      p.owner = await p.records.takeOver(p.logId, [partition], owner);
    },
  };
  const begin = await untilItAnswers(p, signal, () => findBegin(p, committed));
  if (begin === undefined) return;
  // What a batch adds must not push out what the same batch added before.
  const batchMax = Math.max(p.batchRowsMax, (begin.open?.to ?? 0) - begin.offset);
  const window = createWindow(
    { ...p.window, idsMax: Math.max(p.window.idsMax, batchMax) },
    p.keyHash,
  );
  const sinceMs = await untilItAnswers(p, signal, () => openWindow(p, window));
  if (sinceMs === undefined) return;
  p.turn.opened.resolve({ owned: p, window });
  await Promise.all([
    untilItAnswers(p, signal, () => loadWindow(p, window, sinceMs, signal)),
    runBatches(p, window, begin),
  ]);
}

async function runBatches(p: Partition, window: Window, begin: Begin): Promise<void> {
  const { log, partition, signal, clock } = p;
  let { offset, batchId } = begin;

  /** False when the signal ended it before. */
  async function isCommitted(to: number, note: string): Promise<boolean> {
    const commit = async () => {
      await log.commit(partition, to, note);
      return true;
    };
    return (await untilItAnswers(p, signal, commit)) === true;
  }

  /** False when the signal ended it before the batch was in the store. */
  async function store(batch: Batch, how: 'look first' | 'insert first'): Promise<boolean> {
    const { from, to, batch_id } = batch;
    const note = JSON.stringify({ from, to, batch_id } satisfies Intent);
    if (how === 'insert first' && !(await isCommitted(from, note))) return false;
    if (!(await isInStore(p, window, batch, how))) return false;
    if (!(await isCommitted(to, note))) return false;
    offset = to;
    return true;
  }

  const { open } = begin;
  if (open !== undefined) {
    p.logger.info({ partition, ...open }, 'finishing the batch that was open at the last end');
    const records = await untilItAnswers(p, signal, () =>
      orGone(p, open.from, () => readRange(p, open)),
    );
    if (records === undefined) return;
    // Deleted before they were stored: the loop says so, and goes on behind them.
    if ('keptFrom' in records) offset = Math.min(open.to, records.keptFrom);
    else if (!(await p.turn.take(() => store({ ...open, records }, 'look first')))) return;
  }

  const limits = { recordsMax: p.batchRowsMax, bytesMax: p.batchBytesMax };
  while (!signal.aborted) {
    const read = await untilItAnswers(p, signal, () =>
      orGone(p, offset, () =>
        log.read(partition, offset, { ...limits, waitMs: READ_WAIT_MS, signal }),
      ),
    );
    if (read !== undefined && 'keptFrom' in read) {
      offset = read.keptFrom;
      continue;
    }
    const records = cutAtMonth(read ?? []);
    if (records.length === 0) continue;
    const startedMs = clock.elapsed();
    batchId = batchId < BATCH_ID_MAX ? batchId + 1 : 1;
    const batch = { from: offset, to: offset + records.length, batch_id: batchId, records };
    if (!(await p.turn.take(() => store(batch, 'insert first')))) return;
    p.onBatch();
    // The rest of what was read is there already, and there is little of it.
    if (records.length === read?.length) await clock.sleep(p.pauseMs(startedMs), signal);
  }
}

/**
 * Brings the batch into the store, whatever it takes; false when the signal ended it before.
 * `look first` when an earlier insert of the same range may have happened.
 */
async function isInStore(
  p: Partition,
  window: Window,
  batch: Batch,
  how: 'look first' | 'insert first',
): Promise<boolean> {
  let mustLook = how === 'look first';
  const done = await untilItAnswers(p, p.signal, async () => {
    const looks = mustLook;
    // Whatever goes wrong from here on may have left some of it in the store.
    mustLook = true;
    await finishBatch(p, window, batch, looks);
    return true;
  });
  return done === true;
}

/**
 * What was read, or where a shared log begins that has deleted it before it was processed: its topic
 * has a limit of its own. Waiting would not bring it back, and more would go meanwhile; the audit
 * names the places.
 */
async function orGone(
  { log, logger, partition }: Partition,
  from: number,
  read: () => Promise<LogRecord[]>,
): Promise<LogRecord[] | { keptFrom: number }> {
  try {
    return await read();
  } catch (error) {
    const isGone = error instanceof AppError && error.code === 'log_gone';
    if (!isGone || log.isExclusive) throw error;
    const keptFrom = await log.offsetSince(partition, Number.NEGATIVE_INFINITY);
    if (keptFrom <= from) throw error;
    const words = 'the topic has deleted records before they were processed; going on behind them';
    logger.error({ partition, from, to: keptFrom }, words);
    return { keptFrom };
  }
}

/** Reads a whole open range again; the log keeps what is not committed. */
async function readRange(p: Partition, { from, to }: Intent): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  while (from + records.length < to) {
    const more = await p.log.read(p.partition, from + records.length, {
      recordsMax: to - from - records.length,
      bytesMax: p.batchBytesMax,
      waitMs: READ_WAIT_MS,
    });
    const what = `the log holds ${from} to ${to} of its open batch`;
    // A leader that was just elected may be some moments behind in what it gives.
    if (more.length === 0 && !p.log.isExclusive)
      throw new AppError('log_unreachable', `It does not answer yet that ${what}.`);
    check(more.length > 0, what);
    for (const record of more) records.push({ ...record, bytes: Uint8Array.from(record.bytes) });
  }
  return records;
}

/** A batch never crosses a month of the table, or it would become two parts. */
function cutAtMonth(records: LogRecord[]): LogRecord[] {
  const first = records[0];
  const last = records.at(-1);
  if (first === undefined || last === undefined) return records;
  const month = monthOf(first.timeMs);
  const end = records.findIndex((record) => monthOf(record.timeMs) !== month);
  return end === -1 ? records : records.slice(0, end);
}

function monthOf(timeMs: number): number {
  const date = new Date(timeMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/**
 * Repeats `work` with a growing pause while the store does not answer, refuses, or leaves it open
 * what happened, or the log does not answer. Undefined when the signal ended it. Any other fault is
 * thrown.
 */
async function untilItAnswers<T>(
  p: Pick<ProcessorOptions, 'clock' | 'logger'>,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T | undefined> {
  for (let waitMs = RETRY_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const { code, message } = error;
      const isLog = code === 'log_unreachable';
      if (!isLog && !code.startsWith('store_')) throw error;
      p.logger.warn({ code, message, waitMs }, `the ${isLog ? 'log' : 'store'} is in trouble`);
    }
    await p.clock.sleep(waitMs, signal);
  }
  return undefined;
}
