/**
 * Events from a log that somebody else fills, such as a topic that was there before: read, put on
 * our log like those of a request, then committed. A crash in between reads messages again, so they
 * get to our log at least once; the processor leaves the copies out, because a message gives the
 * same ids and the same times whenever it is read.
 *
 * - An event without `event_id` is named after its place in the source.
 * - `received_at` is the message's own time. One without a usable time gets that of the first
 *   reading, which is noted beside the committed offset before anything is appended.
 * - While our log or the source cannot answer, the same batch is tried again; nothing is skipped.
 */
import type { Clock } from '../base/clock.ts';
import { AppError, type Code } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Log, LogRecord, NewRecord } from '../log/log.ts';
import { EVENT_TIME_MS_MIN } from './limits.ts';
import { takeMessage } from './message.ts';
import type { Taken } from './record.ts';
import type { Step } from './step.ts';

export interface SourceOptions {
  /** Its offsets may have gaps, and its bytes may be anything. */
  source: Log;
  log: Pick<Log, 'append'>;
  projectId: string;
  steps: readonly Step[];
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  signal: AbortSignal;
}

/** Most of one batch: what is read at once, and what is read again after a crash. */
const BATCH = { recordsMax: 1_000, bytesMax: 1024 * 1024 };
/** Most bytes of one append, and a record more: every log takes as much at once. */
const APPEND_BYTES_MAX = 512 * 1024;
/** How long a read waits for a first message: only the reaction to `signal` depends on it. */
const READ_WAIT_MS = 1_000;
/** First wait after a log could not answer, and the longest. */
const RETRY_MS = 50;
const RETRY_MS_MAX = 5_000;
const PASSES_BY: readonly Code[] = ['log_full', 'log_unreachable', 'overloaded'];

/**
 * How far the time of a message may be ahead of this clock. Nothing was received in the future, and
 * a log on Kafka refuses what is an hour ahead of its brokers.
 */
const AHEAD_MS_MAX = 1_800_000;

/** The time of those messages before offset `to` that have none of their own. */
interface Given {
  to: number;
  timeMs: number;
}

/** A partition of the source at work. */
interface Followed extends SourceOptions {
  partition: number;
  /** Fires when it is another process's, or at the end. */
  owned: AbortSignal;
  onPosition: (offset: number) => void;
  onTaken: (messages: number, taken: readonly Taken[]) => void;
  onLost: (offsets: number) => void;
}

/**
 * Works until the signal fires, on those partitions of the source that are this process's. Rejects
 * on a fault of either log that does not pass by.
 */
export async function runSource(options: SourceOptions): Promise<void> {
  const { source, metrics, logger, signal } = options;
  /** One past the last message that is on our log, by partition. */
  const positions = new Map<number, number>();
  const countMessages = metrics.counter(
    'clickstream_source_records_total',
    'Messages of the source whose events are durable on the log.',
  );
  const countEvents = metrics.counter(
    'clickstream_source_events_total',
    'Events of these messages, by outcome: accepted or rejected.',
    ['outcome'],
  );
  const countLost = metrics.counter(
    'clickstream_source_lost_total',
    'Offsets that the source had deleted before they were read.',
  );
  metrics.gauge(
    'clickstream_source_lag',
    'Offsets of the source that are still to be read, by partition of this process.',
    async () => {
      try {
        const { ends } = await source.stats();
        return [...positions].map(
          ([partition, at]) =>
            [{ partition: String(partition) }, Math.max(0, (ends[partition] ?? at) - at)] as const,
        );
      } catch (error) {
        if (error instanceof AppError) return [];
        throw error;
      }
    },
    ['partition'],
  );

  await source.own(signal, async (partition, owned) => {
    logger.info({ partition }, 'reading a partition of the source');
    try {
      await followPartition({
        ...options,
        partition,
        owned,
        onPosition: (offset) => positions.set(partition, offset),
        onTaken(messages, taken) {
          const rejected = taken.filter(({ refused }) => refused !== undefined).length;
          countMessages(messages);
          countEvents(taken.length - rejected, { outcome: 'accepted' });
          countEvents(rejected, { outcome: 'rejected' });
        },
        onLost: countLost,
      });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // What another one has taken it goes on with, from what was committed.
      if (error.code !== 'taken_over' && !owned.aborted) throw error;
      logger.info({ partition, code: error.code }, 'the partition is read by another one now');
    } finally {
      positions.delete(partition);
    }
  });
}

async function followPartition(p: Followed): Promise<void> {
  const { source, partition, owned, clock } = p;
  const committed = await untilItPasses(p, () => source.committed(partition));
  if (committed === undefined) return;
  let next = committed.offset;
  let given = readGiven(committed.note);
  p.onPosition(next);
  while (!owned.aborted) {
    const read = await readFrom(p, next);
    if (read === undefined) return;
    next = read.from;
    // What was given a time is read apart from what comes after it.
    const isGiven = (record: LogRecord): boolean => given !== undefined && record.offset < given.to;
    const records = read.records.filter((record, _, [first]) =>
      first === undefined ? false : isGiven(record) === isGiven(first),
    );
    const [first, last] = [records[0], records.at(-1)];
    if (first === undefined || last === undefined) continue;
    const end = last.offset + 1;
    if (!isGiven(first)) given = undefined;
    const nowMs = given?.timeMs ?? clock.now();
    if (given === undefined && records.some((record) => !hasTime(record, nowMs))) {
      given = { to: end, timeMs: nowMs };
      if (!(await commit(p, next, given))) return;
    }
    const taken = records.flatMap((record) => take(p, record, nowMs));
    if (!(await append(p, taken))) return;
    p.onTaken(records.length, taken);
    if (!(await commit(p, end, given))) return;
    next = end;
    p.onPosition(next);
  }
}

/** False when it ended before it was known to be kept. */
async function commit(p: Followed, offset: number, given: Given | undefined): Promise<boolean> {
  const note = given === undefined || given.to <= offset ? '' : JSON.stringify(given);
  const done = await untilItPasses(p, async () => {
    await p.source.commit(p.partition, offset, note);
    return true;
  });
  return done === true;
}

/** Every record in order; false when it ended before all were durable. */
async function append(p: Followed, taken: readonly Taken[]): Promise<boolean> {
  for (let from = 0; from < taken.length; ) {
    const portion: NewRecord[] = [];
    for (let bytes = 0; from + portion.length < taken.length && bytes < APPEND_BYTES_MAX; ) {
      const next = taken[from + portion.length];
      if (next === undefined) break;
      portion.push(next.record);
      bytes += next.record.bytes.length;
    }
    const done = await untilItPasses(p, () => p.log.append(portion));
    if (done === undefined) return false;
    from += portion.length;
  }
  return true;
}

/** What comes from `next` on, or from the first message on that the source still has. */
async function readFrom(
  p: Followed,
  next: number,
): Promise<{ from: number; records: LogRecord[] } | undefined> {
  const { source, partition, owned } = p;
  const limits = { ...BATCH, waitMs: READ_WAIT_MS, signal: owned };
  return untilItPasses(p, async () => {
    try {
      return { from: next, records: await source.read(partition, next, limits) };
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'log_gone') throw error;
      // Waiting would not bring it back, and more would go meanwhile.
      const from = await source.offsetSince(partition, Number.NEGATIVE_INFINITY);
      if (from <= next) throw error;
      skip(p, next, from);
      return { from, records: [] };
    }
  });
}

function skip({ partition, logger, onLost }: Followed, next: number, from: number): void {
  if (next === 0) {
    logger.info({ partition, from }, 'the source begins here; what was before it has deleted');
    return;
  }
  onLost(from - next);
  logger.error(
    { partition, from: next, to: from },
    'the source has deleted messages that were not read yet; going on behind them',
  );
}

function take({ source, partition, projectId, steps }: Followed, r: LogRecord, nowMs: number) {
  const receivedAtMs = hasTime(r, nowMs) ? r.timeMs : nowMs;
  const name = `${source.id}/${partition}/${r.offset}`;
  return takeMessage({ bytes: r.bytes, receivedAtMs, name }, projectId, steps);
}

/** A time as an event may have one: seconds taken for milliseconds, 0 and -1 are none. */
function hasTime({ timeMs }: LogRecord, nowMs: number): boolean {
  return timeMs >= EVENT_TIME_MS_MIN && timeMs <= nowMs + AHEAD_MS_MAX;
}

function readGiven(note: string): Given | undefined {
  return note === '' ? undefined : (JSON.parse(note) as Given);
}

/**
 * Repeats `work` with a growing pause while a log is full or does not answer; at least once.
 * Undefined when the partition was taken away, or the end came, before it was done.
 */
async function untilItPasses<T>(p: Followed, work: () => Promise<T>): Promise<T | undefined> {
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof AppError) || !PASSES_BY.includes(error.code)) throw error;
      const { code, message } = error;
      p.logger.warn({ partition: p.partition, code, message, waitMs }, 'the source has to wait');
    }
    await p.clock.sleep(waitMs, p.owned);
    if (p.owned.aborted) return undefined;
  }
}
