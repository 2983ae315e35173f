/**
 * The audit: the sum of docs/delivery.md, computed again from the log and the store. Every record
 * that was accepted must have one row, or have been taken out on purpose; what is not so is named.
 *
 * What the log still has is compared place by place, up to the committed offset (what lies above is
 * in the processor's hands). Below that, and for other logs that the store knows, the places must
 * have no gap. Nothing is written here; `onFound` may be, by whoever heals.
 */
import { check } from '../../base/check.ts';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import { readProjectId } from '../../event/wire.ts';
import type { Log } from '../../log/log.ts';
import type { Store } from '../../store/store.ts';
import {
  type AuditReport,
  createSums,
  type Named,
  type PartialSum,
  type Sums,
} from './audit-report.ts';
import { type At, createPlaces, type Places } from './places.ts';
import { readRange } from './read-range.ts';

/** Places of one piece that are not as they should be. */
export interface Found {
  at: At;
  missing: number[];
  doubled: number[];
  inLog: boolean;
}

export interface AuditParts {
  log: Log;
  store: Store;
  clock: Clock;
  /** The number that the store has given to the log. */
  logId: number;
  windowMs: number;
  signal: AbortSignal;
}

export interface TimeRange {
  fromMs: number | undefined;
  toMs: number | undefined;
}

/** Places that are compared at once, and how many of such pieces the store counts in one question. */
const PIECE = 16_384;
const PIECES = 128;
/** Places and ids that are named; of the others it is said how many there are. */
const NAMED_MAX = 100;

/** @throws AppError `store_…`, `stopping` when the signal fired. */
export async function audit(
  parts: AuditParts,
  range: TimeRange,
  onFound: (found: Found) => Promise<void> = async () => undefined,
): Promise<AuditReport> {
  for (;;) {
    try {
      return await auditOnce(parts, range, onFound);
    } catch (error) {
      // The log's retention was faster: what it no longer has is compared by places alone.
      if (!(error instanceof AppError) || error.code !== 'log_gone') throw error;
    }
  }
}

async function auditOnce(
  parts: AuditParts,
  range: TimeRange,
  onFound: (found: Found) => Promise<void>,
): Promise<AuditReport> {
  const { clock, log } = parts;
  const startedMs = clock.elapsed();
  const places = createPlaces(parts.store);
  const limitMs = await places.limitMs();
  const sums = createSums(NAMED_MAX);
  const times = { fromMs: Number.POSITIVE_INFINITY, toMs: Number.NEGATIVE_INFINITY };
  const run: Run = { parts, places, limitMs, sums, onFound, times };

  const isWhole = range.fromMs === undefined;
  for (const { log_id, log_partition, end } of isWhole ? await places.partitions() : []) {
    const at = { logId: log_id, partition: log_partition };
    if (log_id !== parts.logId) await auditPlaces(run, at, end, new Map());
  }
  for (let partition = 0; partition < log.partitions; partition++) {
    const at = { logId: parts.logId, partition };
    const kept = await log.offsetSince(partition, Number.NEGATIVE_INFINITY);
    const expired = await auditRecords(run, at, range, kept);
    if (isWhole) await auditPlaces(run, at, kept, expired);
  }

  const repeated =
    times.fromMs <= times.toMs ? await places.repeated(times, parts.windowMs, NAMED_MAX) : [];
  const interleaved = isWhole ? await places.interleaved(NAMED_MAX) : [];
  return {
    from: timeText(range.fromMs),
    to: timeText(range.toMs),
    audited_at: new Date(clock.now()).toISOString(),
    took_ms: Math.round(clock.elapsed() - startedMs),
    ...sums.result(),
    repeated: named(repeated),
    interleaved: named(interleaved),
    healed: null,
    closed: sums.isClosed() && repeated.length === 0 && interleaved.length === 0,
  };
}

/** Of rows that each say how many were found, the first are here. */
function named<Row extends { found: number }>(rows: Row[]): Named<Omit<Row, 'found'>> {
  const more = (rows[0]?.found ?? 0) - rows.length;
  return { named: rows.map(({ found: _, ...row }) => row), more };
}

interface Run {
  parts: AuditParts;
  places: Places;
  /** Records of before this time were taken out by a time limit. */
  limitMs: number;
  sums: Sums;
  onFound: (found: Found) => Promise<void>;
  /** Of the records that were read. */
  times: { fromMs: number; toMs: number };
}

/** What is known of a record without decoding it. */
interface Head {
  offset: number;
  timeMs: number;
  project: string;
}

/** The records that the log has. Answers how many of each project a time limit took. */
async function auditRecords(
  run: Run,
  at: At,
  range: TimeRange,
  kept: number,
): Promise<Map<string, number>> {
  const { parts, places, sums } = run;
  const { log } = parts;
  const { partition } = at;
  const committed = (await log.committed(partition)).offset;
  const { fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY } = range;
  // Of everything it begins where the comparison of places ends, whatever the log drops meanwhile.
  const since = range.fromMs === undefined ? kept : await log.offsetSince(partition, fromMs);
  const near = Math.min(since, committed);
  const isInside = (head: Head) => head.timeMs >= fromMs;
  const from = await findRecord(run, partition, near, committed, isInside);
  const nearEnd = Math.max(from, Math.min(await log.offsetSince(partition, toMs), committed));
  const isBehind = (head: Head) => head.timeMs > toMs;
  const to =
    toMs === Infinity ? committed : await findRecord(run, partition, nearEnd, committed, isBehind);

  const sum = sums.open({ ...at, from, to, inLog: true });
  sum.addOutcomes(from < to ? await places.outcomes(at, { from, to }) : []);
  const expired = new Map<string, number>();
  for await (const piece of pieces(run, at, from, to)) {
    const heads = await readHeads(run, partition, piece.from, piece.to);
    for (const { timeMs, project } of heads) {
      run.times.fromMs = Math.min(run.times.fromMs, timeMs);
      run.times.toMs = Math.max(run.times.toMs, timeMs);
      sum.add('accepted', project, 1);
    }
    if (piece.rows === piece.to - piece.from && piece.places === piece.rows) continue;
    const judged = await judge(run, at, piece);
    const missing: Head[] = [];
    for (const gap of judged.gaps) {
      const head = heads[gap - piece.from];
      check(head?.offset === gap, 'offsets of a log have no gaps');
      if (head.timeMs < run.limitMs) {
        expired.set(head.project, (expired.get(head.project) ?? 0) + 1);
        sum.add('removed', head.project, 1);
      } else {
        missing.push(head);
        sum.name('missing', { ...head, surplus: 1 });
      }
    }
    const doubled = count(sum, judged);
    await tell(run, { at, missing: missing.map(({ offset }) => offset), doubled, inLog: true });
  }
  return expired;
}

/** Places of which the log has no record any more: from 0 to before `end` there is no gap. */
async function auditPlaces(
  run: Run,
  at: At,
  end: number,
  expiredAbove: ReadonlyMap<string, number>,
): Promise<void> {
  const { places, sums } = run;
  const taken = new Map((await places.expired(at)).map((row) => [row.project_id, row.places]));
  const takenBelow = [...new Set([...taken.keys(), ...expiredAbove.keys()])].map((project) => {
    return { project, below: (taken.get(project) ?? 0) - (expiredAbove.get(project) ?? 0) };
  });
  // Also where the log has everything: there must be as many gaps as a time limit has recorded.
  if (end === 0 && takenBelow.every(({ below }) => below === 0)) return;
  const sum = sums.open({ ...at, from: 0, to: end, inLog: false });
  const outcomes = await places.outcomes(at, { from: 0, to: end });
  sum.addOutcomes(outcomes);
  for (const { project_id, rows } of outcomes) sum.add('accepted', project_id, rows);
  let expired = 0;
  for (const { project, below } of takenBelow) {
    sum.add('removed', project, below);
    sum.add('accepted', project, below);
    expired += below;
  }
  const erased = new Set(
    (await places.erasedCounts(at, { from: 0, to: end }, PIECE)).map((row) => row.piece),
  );
  let gaps = 0;
  for await (const piece of pieces(run, at, 0, end)) {
    const missing = piece.to - piece.from - piece.places;
    const isPlain = piece.rows === piece.places && !erased.has(piece.number);
    if (isPlain && (missing === 0 || expired > 0)) {
      gaps += missing;
      continue;
    }
    const judged = await judge(run, at, piece);
    for (const { project_id } of judged.removed) sum.add('accepted', project_id, 1);
    for (const { project_id, rows } of judged.doubled) sum.add('accepted', project_id, 1 - rows);
    gaps += judged.gaps.length;
    // With a time limit at work it is known how many are missing, not which.
    if (expired === 0)
      for (const offset of judged.gaps) sum.name('missing', { offset, project: '', surplus: 1 });
    await tell(run, { at, missing: [], doubled: count(sum, judged), inLog: false });
  }
  sum.add('accepted', '', gaps - expired);
  // Fewer gaps than the time limit took cannot be: then the sum does not close by itself.
  if (expired !== 0) sum.add('missing', '', Math.max(0, gaps - expired));
}

interface Judged {
  /** Places without a row that were not erased. */
  gaps: number[];
  doubled: { log_offset: number; project_id: string; rows: number }[];
  /** Erased places. */
  removed: { log_offset: number; project_id: string }[];
}

async function judge({ places }: Run, at: At, { from, to }: Piece): Promise<Judged> {
  const rows = await places.rows(at, { from, to });
  const erased = await places.erased(at, { from, to });
  const present = new Set(rows.map((row) => row.log_offset));
  // A removal that was recorded and not carried out yet takes nothing away.
  const removed = erased.filter((row) => !present.has(row.log_offset));
  for (const { log_offset } of removed) present.add(log_offset);
  const gaps: number[] = [];
  for (let offset = from; offset < to; offset++) if (!present.has(offset)) gaps.push(offset);
  const doubled = rows.filter((row) => row.rows > 1).sort((a, b) => a.log_offset - b.log_offset);
  return { gaps, doubled, removed };
}

/** Adds what was removed and what is there too often; answers the places of the latter. */
function count(sum: PartialSum, { removed, doubled }: Judged): number[] {
  for (const { project_id } of removed) sum.add('removed', project_id, 1);
  for (const { log_offset: offset, project_id: project, rows } of doubled)
    sum.name('doubled', { offset, project, surplus: rows - 1 });
  return doubled.map((row) => row.log_offset);
}

async function tell(run: Run, found: Found): Promise<void> {
  if (found.missing.length + found.doubled.length > 0) await run.onFound(found);
}

/** A part of a range, with what the store has of it. */
interface Piece {
  number: number;
  from: number;
  to: number;
  rows: number;
  places: number;
}

/** The range in pieces, with what the store has of each. */
async function* pieces(run: Run, at: At, from: number, to: number): AsyncGenerator<Piece> {
  for (let begin = from; begin < to; ) {
    const number = Math.floor(begin / PIECE);
    const end = Math.min(to, (number + PIECES) * PIECE);
    const counts = await run.places.counts(at, { from: begin, to: end }, PIECE);
    const counted = new Map(counts.map((row) => [row.piece, row]));
    for (let piece = number; piece * PIECE < end; piece++) {
      stopIfAsked(run);
      const { rows = 0, places = 0 } = counted.get(piece) ?? {};
      const bounds = { from: Math.max(from, piece * PIECE), to: Math.min(to, (piece + 1) * PIECE) };
      yield { number: piece, ...bounds, rows, places };
    }
    begin = end;
  }
}

/** The first offset from `from` on whose record is `wanted`, or `to`. */
async function findRecord(
  run: Run,
  partition: number,
  from: number,
  to: number,
  wanted: (head: Head) => boolean,
): Promise<number> {
  for (let begin = from; begin < to; begin += PIECE) {
    stopIfAsked(run);
    const heads = await readHeads(run, partition, begin, Math.min(to, begin + PIECE));
    const found = heads.find(wanted);
    if (found !== undefined) return found.offset;
  }
  return to;
}

async function readHeads(run: Run, partition: number, from: number, to: number): Promise<Head[]> {
  const heads: Head[] = [];
  await readRange(run.parts.log, partition, { from, to }, ({ offset, timeMs, bytes }) => {
    heads.push({ offset, timeMs, project: readProjectId(bytes) });
  });
  return heads;
}

function stopIfAsked({ parts }: Run): void {
  if (parts.signal.aborted) throw new AppError('stopping', 'The audit was ended.');
}

function timeText(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
