/**
 * Holds what the senders know against what the store holds: nothing lost, nothing doubled, the sum
 * closed, sessions in their order, and the questions equal to a recount.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readUsers } from '../../src/engine/users.ts';
import { type ClickHouseOptions, createClickHouseStore } from '../../src/store/clickhouse.ts';
import type { Store } from '../../src/store/store.ts';
import type { Entry, Ledger } from './ledger.ts';
import { recount, type StoredRow } from './recount.ts';

export interface Verdict {
  events: number;
  duplicates: number;
  lost: string[];
  doubled: string[];
  /** Rows beyond what the senders have sent: records that are on the log once more. */
  beyond: number;
  /** Whatever else is not as it must be; empty when all is well. */
  wrong: string[];
}

export interface Judged {
  /** Of a process that answers questions and says how far the log is. */
  url: string;
  store: ClickHouseOptions;
  ledger: Ledger;
  /** Of several logs in the store the one that is open now; else there must be one alone. */
  logId?: number;
  /** The log may have taken a record twice that was sent once, where it has not said how it went. */
  mayRepeat?: boolean;
}

const SHOWN_MAX = 5;
const LOOK_AGAIN_MS = 20;

/** The senders have stopped, and the system runs. */
export async function judge(judged: Judged): Promise<Verdict> {
  const { url, ledger, logId, mayRepeat = false } = judged;
  const ends = await untilCaughtUp(url);
  const store = createClickHouseStore(judged.store);
  try {
    const stored = await store.select<StoredRow>(
      `SELECT project_id, event_id, session_id, visitor_id, event_name, sequence, path, booking_id,
         payment_status, value, traffic_source, toUnixTimestamp64Milli(event_time) AS event_time_ms
       FROM records WHERE outcome = 'stored' AND project_id != 'self-check'
       ORDER BY project_id, session_id, event_time, sequence`,
    );
    const copies = await store.select<Copies>(
      `SELECT project_id, event_id, countIf(outcome = 'stored') AS stored,
         countIf(outcome = 'duplicate') AS duplicates, countIf(outcome = 'rejected') AS rejected
       FROM records WHERE project_id != 'self-check' GROUP BY project_id, event_id`,
    );
    const counted = compare(ledger, copies, mayRepeat);
    const wrong = [
      ...ledger.faults,
      ...counted.wrong,
      ...(await sumFaults(store, ends, logId)),
      ...orderFaults(ledger, stored),
    ];
    for (const project of new Set(stored.map((row) => row.project_id))) {
      const rows = stored.filter((row) => row.project_id === project);
      await recount(url, project, rows).catch((error: Error) => wrong.push(error.message));
    }
    return { ...counted, events: stored.length, wrong };
  } finally {
    await store.close();
  }
}

interface Copies {
  project_id: string;
  event_id: string;
  stored: number;
  duplicates: number;
  rejected: number;
}

/** For each id: rows at least as often as it was acknowledged, at most as often as it was sent. */
function compare(
  ledger: Ledger,
  rows: readonly Copies[],
  mayRepeat: boolean,
): Omit<Verdict, 'events'> {
  const found = new Map(rows.map((row) => [`${row.project_id} ${row.event_id}`, row]));
  const lost: string[] = [];
  const doubled: string[] = [];
  const wrong: string[] = [];
  let beyond = 0;
  for (const [key, { isValid, sent, acknowledged }] of ledger.entries) {
    const { stored, duplicates, rejected } = found.get(key) ?? NOTHING;
    const kept = isValid ? stored : rejected;
    const all = stored + duplicates + rejected;
    if (acknowledged > 0 && kept === 0) lost.push(key);
    if (stored > 1) doubled.push(key);
    beyond += Math.max(0, all - sent);
    const isBeyond = all > sent && !mayRepeat;
    if (all < acknowledged || isBeyond || (isValid ? rejected : stored + duplicates) > 0) {
      const known = `sent ${sent}, acknowledged ${acknowledged}`;
      wrong.push(`${key}: ${known}, stored ${stored} + ${duplicates} + ${rejected}`);
    }
  }
  for (const key of found.keys()) if (!ledger.entries.has(key)) wrong.push(`${key} was never sent`);
  const duplicates = rows.reduce((sum, row) => sum + row.duplicates, 0);
  return { duplicates, lost, doubled, beyond, wrong };
}

const NOTHING = { stored: 0, duplicates: 0, rejected: 0 };

/** Every record of the log is one row, or was erased, and every place is taken once. */
async function sumFaults(
  store: Store,
  ends: readonly number[],
  logId: number | undefined,
): Promise<string[]> {
  const all = await store.select<{ log_id: number; log_partition: number; sum: number[] }>(
    `SELECT log_id, log_partition, [count(), uniqExact(log_offset), max(log_offset) + 1] AS sum
     FROM (
       SELECT log_id, log_partition, log_offset FROM records UNION ALL
       SELECT log_id, log_partition, log_offset FROM removals WHERE kind = 'erased')
     GROUP BY log_id, log_partition ORDER BY log_id, log_partition`,
  );
  const sums = all.filter((row) => logId === undefined || row.log_id === logId);
  const faults = ends.flatMap((end, partition) => {
    const { sum = [] } = sums.find((row) => row.log_partition === partition) ?? {};
    const isClosed = sum.every((number) => number === end) && (sum.length > 0 || end === 0);
    return isClosed ? [] : [`partition ${partition} ends at ${end}: rows, places, end ${sum}`];
  });
  if (sums.length > ends.length) faults.push(`rows of more than one log: ${JSON.stringify(sums)}`);
  return faults;
}

/** The stored events of a session in their order are those that were sent, in theirs. */
function orderFaults(ledger: Ledger, stored: readonly StoredRow[]): string[] {
  const sent = Map.groupBy(
    [...ledger.entries.values()].filter(({ isValid, acknowledged }) => isValid && acknowledged > 0),
    ({ project, event }) => `${project} ${event.session_id}`,
  );
  const found = Map.groupBy(stored, (row) => `${row.project_id} ${row.session_id}`);
  const time = ({ event }: Entry): number => Date.parse(event.event_time);
  const faults: string[] = [];
  for (const [session, entries] of sent) {
    const expected = entries
      .toSorted((a, b) => time(a) - time(b) || a.event.sequence - b.event.sequence)
      .map((entry) => `${entry.event.event_id} ${entry.event.event_name} ${time(entry)}`);
    const rows = (found.get(session) ?? []).map(
      (row) => `${row.event_id} ${row.event_name} ${row.event_time_ms}`,
    );
    if (expected.join() !== rows.join()) faults.push(`${session} is not in the order as sent`);
  }
  return faults;
}

/** The ends of the log's partitions and what is committed of them, as `/metrics` says. */
export async function readProgress(
  url: string,
): Promise<{ ends: number[]; committed: number[] } | undefined> {
  try {
    const text = await (await fetch(`${url}/metrics`)).text();
    const gauge = (name: string): number[] =>
      [...text.matchAll(new RegExp(`^${name}\\{partition="\\d+"\\} (\\d+)$`, 'gm'))].map((match) =>
        Number(match[1]),
      );
    const ends = gauge('clickstream_log_end');
    return { ends, committed: gauge('clickstream_log_committed') };
  } catch {
    return undefined;
  }
}

/** Resolves with the ends of the log when all before them is committed; nothing is sent meanwhile. */
async function untilCaughtUp(url: string): Promise<number[]> {
  for (;;) {
    const progress = await readProgress(url);
    // Nothing is said of a log that does not answer.
    const isKnown = progress !== undefined && progress.ends.length > 0;
    if (isKnown && `${progress.ends}` === `${progress.committed}`) return progress.ends;
    await sleep(LOOK_AGAIN_MS);
  }
}

/** Undefined when all is well. */
export function faultOf({ lost, doubled, wrong }: Verdict): string | undefined {
  const some = (what: string, found: readonly string[]): string[] =>
    found.length === 0 ? [] : [`${found.length} ${what}: ${found.slice(0, SHOWN_MAX).join('; ')}`];
  const faults = [...some('lost', lost), ...some('doubled', doubled), ...some('wrong', wrong)];
  return faults.length === 0 ? undefined : faults.join('\n');
}

/** How the embedded store is asked, with the users in its folder. */
export function accessOf(engineUrl: string, storeFolder: string): ClickHouseOptions {
  const { name: user, password } = readUsers(storeFolder).owner;
  return { url: engineUrl, user, password, database: 'clickstream' };
}

export const storeFolderOf = (data: string): string => join(data, 'store');
