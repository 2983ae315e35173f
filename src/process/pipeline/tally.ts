/**
 * What is on the log, counted from the log itself: records by project and minute, those that wait
 * and those that are done. It shares nothing with the processor but the log, so that what one has
 * lost the other still has, and it keeps nothing that a kill could forget.
 *
 * It reads on only when it is asked, from an hour ago or from the first record that waits, in
 * pieces with a turn of the event loop between them. Of each partition it has two places: up to
 * one, records are accepted; up to the other, which follows the committed offset, they are done.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import { readProjectId } from '../../event/wire.ts';
import type { Log } from '../../log/log.ts';

export const MINUTE_MS = 60_000;
export const SPAN_MINUTES = 60;

/** Records of one project and minute. */
interface OnLog {
  accepted: number;
  done: number;
}

export interface Counted {
  /** Start of the first of the last 60 minutes. */
  sinceMs: number;
  /** By partition: where counting began, the committed offset, one past the last record. */
  from: number[];
  committed: number[];
  ends: number[];
  /** Age of the oldest record that waits, by partition. */
  behindMs: number[];
  /** Every record received before this time is done. */
  storedUntilMs: number;
  /** By project, then by the start of the minute; only minutes from `sinceMs` on. */
  minutes: Map<string, Map<number, OnLog>>;
  /** Records that wait, by project, however old. */
  waiting: Map<string, number>;
}

export interface Tally {
  /** Reads on to where the log ends now. One caller at a time. */
  count(): Promise<Counted>;
}

/** One partition, as far as it was read. */
interface Followed {
  from: number;
  end: number;
  done: number;
  minutes: Map<number, Map<string, OnLog>>;
  waiting: Map<string, number>;
}

/** Some milliseconds of work. */
const PIECE = { recordsMax: 2_000, bytesMax: 1024 * 1024, waitMs: 0 };

export function createTally(log: Log, clock: Clock): Tally {
  const followed: Followed[] = [];
  let sinceMs = Number.NEGATIVE_INFINITY;

  /** Where counting begins: before it nothing waits, and nothing was received within the hour. */
  async function beginOf(partition: number, committed: number, nowMs: number): Promise<number> {
    const hourAgo = await log.offsetSince(partition, nowMs - SPAN_MINUTES * MINUTE_MS);
    return Math.min(committed, hourAgo);
  }

  /** Reads one piece and counts it, below `to`. */
  async function readPiece(
    partition: number,
    f: Followed,
    [from, to]: readonly [number, number],
    [isAccepted, isDone]: readonly [boolean, boolean],
  ): Promise<void> {
    const recordsMax = Math.min(PIECE.recordsMax, to - from);
    const records = await log.read(partition, from, { ...PIECE, recordsMax });
    for (const { bytes, timeMs } of records) {
      const project = readProjectId(bytes);
      const onLog = onLogOf(f.minutes, Math.floor(timeMs / MINUTE_MS) * MINUTE_MS, project);
      if (isAccepted) onLog.accepted++;
      if (isDone) onLog.done++;
      if (isAccepted === isDone) continue;
      f.waiting.set(project, (f.waiting.get(project) ?? 0) + (isAccepted ? 1 : -1));
    }
    if (isAccepted) f.end += records.length;
    if (isDone) f.done += records.length;
  }

  async function follow(partition: number, end: number, committed: number, nowMs: number) {
    const begin = await beginOf(partition, committed, nowMs);
    let f = followed[partition];
    if (f === undefined || f.done < begin) {
      f = { from: begin, end: begin, done: begin, minutes: new Map(), waiting: new Map() };
      followed[partition] = f;
    }
    while (f.end < end || f.done < committed) {
      // What is done already when it is first seen is read once, not twice.
      if (f.done === f.end && f.done < committed)
        await readPiece(partition, f, [f.end, committed], [true, true]);
      else if (f.done < committed)
        await readPiece(partition, f, [f.done, Math.min(committed, f.end)], [false, true]);
      else await readPiece(partition, f, [f.end, end], [true, false]);
      dropBefore(f, sinceMs);
      await nextTurn();
    }
    dropBefore(f, sinceMs);
    return f;
  }

  async function count(): Promise<Counted> {
    // Taken at once: what is committed by now is what the store is asked about.
    const { ends, committed, oldestWaitingMs } = await log.stats();
    const nowMs = clock.now();
    const firstMs = (Math.floor(nowMs / MINUTE_MS) - (SPAN_MINUTES - 1)) * MINUTE_MS;
    // The clock was set back: minutes that were dropped are looked at again.
    if (firstMs < sinceMs) followed.length = 0;
    sinceMs = firstMs;
    const parts: Followed[] = [];
    for (const [partition, end] of ends.entries())
      parts.push(await follow(partition, end, committed[partition] ?? 0, nowMs));
    const waitingSince = oldestWaitingMs.map((ms) => Math.min(nowMs, ms ?? nowMs));
    return {
      sinceMs,
      from: parts.map(({ from }) => from),
      committed,
      ends,
      behindMs: waitingSince.map((ms) => nowMs - ms),
      storedUntilMs: Math.min(nowMs, ...waitingSince),
      ...merge(parts),
    };
  }

  return {
    count: () =>
      count().catch((error: unknown) => {
        if (!(error instanceof AppError) || error.code !== 'log_gone') throw error;
        // Retention came between: what it took was done, and counting begins behind it.
        followed.length = 0;
        return count();
      }),
  };
}

function onLogOf(minutes: Followed['minutes'], minute: number, project: string): OnLog {
  const projects = minutes.get(minute) ?? new Map<string, OnLog>();
  const onLog = projects.get(project) ?? { accepted: 0, done: 0 };
  minutes.set(minute, projects.set(project, onLog));
  return onLog;
}

function dropBefore({ minutes }: Followed, sinceMs: number): void {
  for (const minute of minutes.keys()) if (minute < sinceMs) minutes.delete(minute);
}

function merge(parts: readonly Followed[]): Pick<Counted, 'minutes' | 'waiting'> {
  const minutes: Counted['minutes'] = new Map();
  const waiting: Counted['waiting'] = new Map();
  for (const part of parts) {
    for (const [project, records] of part.waiting)
      waiting.set(project, (waiting.get(project) ?? 0) + records);
    for (const [minute, projects] of part.minutes) {
      for (const [project, { accepted, done }] of projects) {
        const byMinute = minutes.get(project) ?? new Map<number, OnLog>();
        minutes.set(project, byMinute);
        const sum = byMinute.get(minute) ?? { accepted: 0, done: 0 };
        byMinute.set(minute, { accepted: sum.accepted + accepted, done: sum.done + done });
      }
    }
  }
  return { minutes, waiting };
}
