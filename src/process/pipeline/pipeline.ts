/**
 * The sum of the pipeline: what was counted on the log beside what is counted in the store.
 *
 * Nothing of it is a counter in memory: every number is a count of records on the log, of rows, or
 * of removals. So it is exact after a kill, and what it calls missing is missing.
 */
import type { Clock } from '../../base/clock.ts';
import type { Log, Spooled } from '../../log/log.ts';
import type { Store } from '../../store/store.ts';
import type { Records } from '../records.ts';
import type { AuditReport, Named } from '../upkeep/audit-report.ts';
import type { Counts, LastAudit, PipelineAnswer, Spool } from './answer.ts';
import { countInStore, type StoreCounts } from './rows.ts';
import { readSpark } from './spark.ts';
import { type Counted, createTally, MINUTE_MS, SPAN_MINUTES } from './tally.ts';

export interface Pipeline {
  /**
   * The sum as it is, or as it was some seconds ago; of one project, or of all.
   * @throws AppError `store_…` when the store does not answer, `log_…`.
   */
  answer(project?: string): Promise<PipelineAnswer>;
}

/** What is answered of the spool. */
export function spoolOf({ oldestMs, ...spooled }: Spooled, nowMs: number): Spool {
  return {
    records: spooled.records,
    bytes: spooled.bytes,
    behind_ms: Math.max(0, nowMs - (oldestMs ?? nowMs)),
    log_answers: spooled.isLogAnswering,
    refusal: spooled.refusal ?? null,
  };
}

export interface PipelineOptions {
  log: Log;
  store: Store;
  records: Pick<Records, 'registerLog'>;
  clock: Clock;
  lastAudit: () => AuditReport | undefined;
  /** What is on the spool of this process, if it has one. */
  spooled?: (() => Spooled) | undefined;
}

/** An answer holds for so long, however many ask … */
const HOLDS_MS = 2_000;
/** … and for longer when counting took long: it may take a part of the time only. */
const HOLDS_TIMES_TOOK = 5;

/** The whole sum, of which an answer shows a part. */
interface Sum {
  counted: Counted;
  projects: Map<string, ProjectSum>;
  partitions: PipelineAnswer['partitions'];
  rejected: PipelineAnswer['rejected'];
  storeMs: number;
  tookMs: number;
  /** Time of the oldest record that was on the spool before it was counted. */
  spooledMs: number | undefined;
}

interface ProjectSum {
  total: Counts;
  minutes: Map<number, Counts>;
}

export function createPipeline(options: PipelineOptions): Pipeline {
  const { log, store, records, clock, lastAudit, spooled } = options;
  const tally = createTally(log, clock);
  let logId: number | undefined;

  async function numberOfLog(): Promise<number> {
    logId ??= await records.registerLog(log.id);
    return logId;
  }

  async function count(): Promise<Sum> {
    const startedMs = clock.elapsed();
    // First: what leaves the spool meanwhile waits on the log.
    const spooledMs = spooled?.().oldestMs;
    const number = await numberOfLog();
    const counted = await tally.count();
    const askedMs = clock.elapsed();
    const inStore = await countInStore(store, number, counted);
    const endedMs = clock.elapsed();
    const times = { storeMs: endedMs - askedMs, tookMs: endedMs - startedMs, spooledMs };
    return { ...put(number, counted, inStore), ...times };
  }

  const shared = held(clock, count, ({ storeMs }) =>
    Math.max(HOLDS_MS, HOLDS_TIMES_TOOK * storeMs),
  );
  // By itself: it is read at once, however long counting takes.
  const sharedSpark = held(
    clock,
    async () => readSpark(store, await numberOfLog(), clock.now()),
    () => HOLDS_MS,
  );

  return {
    async answer(project) {
      const sum = await shared();
      const spark = await sharedSpark();
      const spool = spooled?.();
      return {
        ...answerOf(sum, project, spool?.oldestMs),
        spark,
        spool: spool === undefined ? null : spoolOf(spool, clock.now()),
        last_audit: inShort(lastAudit()),
      };
    },
  };
}

/** One question at a time, and its answer for all who ask meanwhile and for so long after. */
function held<T>(
  clock: Clock,
  ask: () => Promise<T>,
  holdsMs: (answer: T) => number,
): () => Promise<T> {
  let last: { answer: Promise<T>; untilMs: number } | undefined;
  return () => {
    if (last !== undefined && clock.elapsed() < last.untilMs) return last.answer;
    const answer = ask();
    const mine = { answer, untilMs: Number.POSITIVE_INFINITY };
    last = mine;
    answer.then(
      (found) => {
        mine.untilMs = clock.elapsed() + holdsMs(found);
      },
      () => {
        last = undefined;
      },
    );
    return answer;
  };
}

const zero = (): Counts => ({
  accepted: 0,
  stored: 0,
  duplicate: 0,
  rejected: 0,
  removed: 0,
  waiting: 0,
  missing: 0,
});

const accountedOf = (c: Counts): number =>
  c.stored + c.duplicate + c.rejected + c.removed + c.waiting;

/** Puts the log and the store beside each other. */
function put(
  logId: number,
  counted: Counted,
  { rows, removed, rejected }: StoreCounts,
): Pick<Sum, 'counted' | 'projects' | 'rejected' | 'partitions'> {
  const projects = new Map<string, ProjectSum>();
  const projectOf = (name: string): ProjectSum => {
    const found = projects.get(name) ?? { total: zero(), minutes: new Map<number, Counts>() };
    projects.set(name, found);
    return found;
  };
  const minuteOf = ({ minutes }: ProjectSum, time: number): Counts => {
    const found = minutes.get(time) ?? zero();
    minutes.set(time, found);
    return found;
  };

  for (const [name, byMinute] of counted.minutes) {
    for (const [time, { accepted, done }] of byMinute) {
      const minute = minuteOf(projectOf(name), time);
      minute.accepted += accepted;
      minute.waiting += accepted - done;
    }
  }
  for (const [name, waiting] of counted.waiting) projectOf(name).total.waiting += waiting;
  const held = [
    ...rows.map((row) => ({ ...row, removed: -row.still_there })),
    ...removed.map((row) => ({ ...row, removed: row.rows, outcome: undefined })),
  ];
  for (const { project_id, minute, followed, outcome, rows: many, removed: gone } of held) {
    const project = projectOf(project_id);
    const both = minute === 0 ? [project.total] : [project.total, minuteOf(project, minute)];
    for (const counts of both) {
      if (outcome !== undefined) counts[outcome] += many;
      counts.removed += gone;
    }
    // Of an earlier log nobody can count the records any more: they are what the store says.
    if (minute > 0 && followed === 0)
      minuteOf(project, minute).accepted += gone + (outcome === undefined ? 0 : many);
  }
  for (const { total, minutes } of projects.values()) {
    for (const minute of minutes.values()) {
      minute.missing = minute.accepted - accountedOf(minute);
      total.missing += minute.missing;
    }
    total.accepted = accountedOf(total) + total.missing;
  }
  return { counted, projects, rejected, partitions: partitionsOf(logId, counted, held) };
}

interface Held {
  log_id: number;
  log_partition: number;
  rows: number;
  outcome: string | undefined;
  removed: number;
  last_offset: number;
}

/** Offsets begin at 0 and have no gaps: what the store accounts for must be as many as they are. */
function partitionsOf(
  logId: number,
  counted: Counted,
  held: readonly Held[],
): PipelineAnswer['partitions'] {
  interface PartitionSum {
    id: number;
    partition: number;
    rows: number;
    removed: number;
    end: number;
  }
  const sums = new Map<string, PartitionSum>();
  const sumOf = (id: number, partition: number) => {
    const key = `${id} ${partition}`;
    const found = sums.get(key) ?? { id, partition, rows: 0, removed: 0, end: 0 };
    sums.set(key, found);
    return found;
  };
  for (const { log_id, log_partition, rows, outcome, removed, last_offset } of held) {
    const sum = sumOf(log_id, log_partition);
    sum.rows += removed + (outcome === undefined ? 0 : rows);
    if (outcome === undefined) sum.removed += rows;
    // Where a time limit took all rows of a log, what is known of it is how many there were.
    sum.end = Math.max(sum.end, last_offset + 1, sum.removed);
  }
  for (const partition of counted.ends.keys()) sumOf(logId, partition);
  return [...sums.values()]
    .map(({ id, partition, rows, end }) => {
      const isCurrent = id === logId;
      const accepted = isCurrent ? (counted.ends[partition] ?? 0) : end;
      const committed = isCurrent ? (counted.committed[partition] ?? 0) : end;
      return {
        log_id: id,
        log_partition: partition,
        accepted,
        committed,
        waiting: accepted - committed,
        missing: committed - rows,
        behind_ms: isCurrent ? (counted.behindMs[partition] ?? 0) : 0,
      };
    })
    .sort((a, b) => {
      const isFirst = Number(b.log_id === logId) - Number(a.log_id === logId);
      return isFirst || b.log_id - a.log_id || a.log_partition - b.log_partition;
    });
}

function answerOf(
  sum: Sum,
  asked: string | undefined,
  spooledMs = Number.POSITIVE_INFINITY,
): Omit<PipelineAnswer, 'last_audit' | 'spark' | 'spool'> {
  const { counted, partitions, rejected } = sum;
  const isAsked = (name: string): boolean => asked === undefined || name === asked;
  const all = [...sum.projects].map(([project_id, { total, minutes }]) => {
    return { project_id, total, minutes };
  });
  const shown = all.filter(({ project_id }) => isAsked(project_id));
  const total = add(shown.map((project) => project.total));
  if (asked === undefined) {
    // What is missing since before the last hour is known by partition only.
    total.missing = partitions.reduce((sum, { missing }) => sum + missing, 0);
    total.accepted = accountedOf(total) + total.missing;
  }
  const isMissing = ({ missing }: { missing: number }): boolean => missing !== 0;
  const firstMinutes = Array.from(
    { length: SPAN_MINUTES },
    (_, i) => counted.sinceMs + i * MINUTE_MS,
  );
  // Where a clock was set back there are later ones as well.
  const times = new Set([...firstMinutes, ...shown.flatMap(({ minutes }) => [...minutes.keys()])]);
  return {
    closed:
      !partitions.some(isMissing) &&
      !all.some(({ minutes }) => [...minutes.values()].some(isMissing)),
    total,
    projects: all
      .map(({ project_id, total }) => ({ project_id, ...total }))
      .sort((a, b) => b.accepted - a.accepted || (a.project_id < b.project_id ? -1 : 1)),
    minutes: [...times]
      .sort((a, b) => a - b)
      .map((time) => ({
        time,
        ...add(shown.map(({ minutes }) => minutes.get(time) ?? zero())),
      })),
    partitions,
    rejected: rejected.filter(({ project_id }) => isAsked(project_id)),
    stored_until: new Date(
      Math.min(counted.storedUntilMs, sum.spooledMs ?? spooledMs, spooledMs),
    ).toISOString(),
    took_ms: Math.round(sum.tookMs * 10) / 10,
  };
}

function add(counts: readonly Counts[]): Counts {
  const sum = zero();
  for (const one of counts) {
    for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += one[name];
  }
  return sum;
}

function inShort(report: AuditReport | undefined): LastAudit | null {
  if (report === undefined) return null;
  const { audited_at, from, to, closed, healed } = report;
  const count = ({ named, more }: Named<unknown>): number => named.length + more;
  return {
    audited_at,
    from,
    to,
    closed,
    missing: count(report.missing),
    doubled: count(report.doubled),
    repeated: count(report.repeated),
    interleaved: count(report.interleaved),
    healed: healed === null ? 0 : healed.missing + healed.doubled,
  };
}
