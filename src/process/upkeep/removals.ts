/**
 * Rows that are taken out on purpose: erased, because somebody asks for it, or expired, because a
 * time limit says so. A removal is recorded first and carried out then, so that the sum of places
 * closes whenever it ends in between: the data say what is still to be done, which are the rows at
 * recorded places.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../log/log.ts';
import type { Store, Value } from '../../store/store.ts';
import { deleteRows } from './delete-rows.ts';

export interface RemovalParts {
  log: Log;
  store: Store;
  clock: Clock;
  logId: number;
  signal: AbortSignal;
  /** Called between the record of a removal and its deletion. */
  onRecorded(): Promise<void>;
  /** Runs the work while nobody writes into any partition of the log. */
  whileNobodyWrites(work: () => Promise<void>): Promise<void>;
}

/** By what events are chosen: a name for people, and the column. */
export const SELECTORS = {
  visitor: 'visitor_id',
  customer: 'customer_id',
  event_id: 'event_id',
  session: 'session_id',
} as const;

export type Selector = keyof typeof SELECTORS;

export interface Selection {
  project: string;
  by: Selector;
  value: string;
}

export interface Receipt {
  /** Null when nothing was removed, or nothing was to be. */
  removal_id: string | null;
  project: string;
  rows: number;
  /** Of them, by what had become of the records. */
  stored: number;
  duplicate: number;
  rejected: number;
  dry_run: boolean;
}

/**
 * What was not processed yet is not touched: it is still to come. Other logs have been processed.
 * A list of one offset for each partition.
 */
const PROCESSED =
  '(log_id != {log_id:UInt32} OR log_offset < {bounds:Array(UInt64)}[log_partition + 1])';

async function processed({ log, logId }: RemovalParts) {
  const numbers = Array.from({ length: log.partitions }, (_, partition) => partition);
  const committed = await Promise.all(numbers.map((partition) => log.committed(partition)));
  return { log_id: logId, bounds: committed.map(({ offset }) => offset) };
}

/** A repeated or refused copy has no more than the id of the event, so it is found by that. */
const CHOSEN = `project_id = {project:String} AND {value:String} != '' AND (
  outcome = 'stored' AND {column:Identifier} = {value:String}
  OR outcome != 'stored' AND event_id != '' AND event_id IN (
    SELECT event_id FROM records
    WHERE outcome = 'stored' AND project_id = {project:String} AND {column:Identifier} = {value:String}))`;
/** By its id an event is found whatever became of it. */
const CHOSEN_BY_ID = `project_id = {project:String} AND {value:String} != '' AND event_id = {value:String}`;

/** Inserts that record a removal, as a group of the store. */
const recordingsOf = ({ logId }: RemovalParts): string => `removals-${logId}`;

/** Erases the events of a selection, or says how many there are. */
export async function erase(
  parts: RemovalParts,
  { project, by, value }: Selection,
  isDryRun: boolean,
): Promise<Receipt> {
  const { store } = parts;
  if (!isDryRun) await carryOutAll(parts);
  const where = `${by === 'event_id' ? CHOSEN_BY_ID : CHOSEN} AND ${PROCESSED}`;
  const bound = { project, value, column: SELECTORS[by], ...(await processed(parts)) };
  const counts = { stored: 0, duplicate: 0, rejected: 0 };
  for (const row of await store.select<{ outcome: keyof typeof counts; rows: number }>(
    `SELECT outcome, count() AS rows FROM records WHERE ${where} GROUP BY outcome`,
    bound,
  ))
    counts[row.outcome] = row.rows;
  const rows = counts.stored + counts.duplicate + counts.rejected;
  const receipt = { removal_id: null, project, rows, ...counts, dry_run: isDryRun };
  if (isDryRun || rows === 0) return receipt;

  const removal_id = randomUUID();
  // Another process may have recorded the same rows since they were counted, and not deleted them yet.
  // Only what is stored is in the window: the hash of a refused one would keep its mended copy out.
  await store.command(
    `INSERT INTO removals (removal_id, kind, project_id, log_id, log_partition, log_offset,
       received_at, rows, id_hash, expired_before, recorded_at)
     SELECT {removal_id:UUID}, 'erased', project_id, log_id, log_partition, log_offset,
       any(records.received_at), 1,
       if(countIf(outcome = 'stored') = 0, '',
         lower(hex(SHA256(concat(project_id, '\\0', any(event_id)))))),
       toDateTime64(0, 3, 'UTC'), fromUnixTimestamp64Milli({now_ms:Int64}, 'UTC')
     FROM records WHERE ${where} AND NOT ${AT_ERASED_PLACES}
     GROUP BY project_id, log_id, log_partition, log_offset`,
    { ...bound, removal_id, now_ms: parts.clock.now() },
    recordingsOf(parts),
  );
  await parts.onRecorded();
  await deleteErased(parts);
  return { ...receipt, removal_id };
}

const AT_ERASED_PLACES = `(log_id, log_partition, log_offset) IN (
  SELECT log_id, log_partition, log_offset FROM removals WHERE kind = 'erased')`;

/** Deletes what stands at places that were recorded as erased; answers how many rows there were. */
async function deleteErased(parts: RemovalParts): Promise<number> {
  const [erased] = await parts.store.select<{ places: number; since_ms: number }>(
    `SELECT count() AS places, toUnixTimestamp64Milli(min(received_at)) AS since_ms
     FROM removals WHERE kind = 'erased'`,
  );
  if (erased === undefined || erased.places === 0) return 0;
  const [left] = await parts.store.select<{ rows: number }>(
    `SELECT count() AS rows FROM records
     WHERE received_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC') AND ${AT_ERASED_PLACES}`,
    { since_ms: erased.since_ms },
  );
  if (left === undefined || left.rows === 0) return 0;
  await parts.onRecorded();
  await deleteRows(parts, AT_ERASED_PLACES, {});
  return left.rows;
}

/**
 * Deletes what was recorded and is still there; answers how many rows there were. Done before anything
 * is recorded as well: what an earlier removal of either kind has recorded must not be recorded again.
 * One whose answer was lost may still be recording, so that is waited for.
 */
export async function carryOutAll(
  parts: RemovalParts,
): Promise<{ erased: number; expired: number }> {
  await parts.store.settle([recordingsOf(parts)]);
  return { erased: await deleteErased(parts), expired: await deleteExpired(parts) };
}

/** Takes out what was received before `beforeMs`, month by month; answers how many places. */
export async function expire(parts: RemovalParts, beforeMs: number): Promise<number> {
  const { store } = parts;
  await carryOutAll(parts);
  const bound = { before_ms: beforeMs, ...(await processed(parts)) };
  const months = await store.select<{ month: string; end_ms: number }>(
    `SELECT toString(toYYYYMM(received_at)) AS month,
       toUnixTimestamp64Milli(toDateTime64(addMonths(toStartOfMonth(min(received_at)), 1), 3, 'UTC')) AS end_ms
     FROM records
     WHERE received_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC') AND ${PROCESSED}
     GROUP BY month ORDER BY month`,
    bound,
  );
  let places = 0;
  for (const { month, end_ms } of months) {
    const removal_id = randomUUID();
    // One block, so that the whole month is recorded or nothing of it.
    await store.command(
      `INSERT INTO removals (removal_id, kind, project_id, log_id, log_partition, log_offset,
         received_at, rows, id_hash, expired_before, recorded_at)
       SELECT {removal_id:UUID}, 'expired', project_id, log_id, log_partition, max(log_offset),
         toStartOfMinute(records.received_at) AS minute, uniqExact(log_offset), '',
         fromUnixTimestamp64Milli({limit_ms:Int64}, 'UTC'),
         fromUnixTimestamp64Milli({now_ms:Int64}, 'UTC')
       FROM records
       WHERE toString(toYYYYMM(records.received_at)) = {month:String}
         AND records.received_at < fromUnixTimestamp64Milli({limit_ms:Int64}, 'UTC') AND ${PROCESSED}
       GROUP BY project_id, log_id, log_partition, minute
       SETTINGS max_threads = 1, min_insert_block_size_rows = 10000000,
         min_insert_block_size_bytes = 0, max_block_size = 10000000`,
      {
        ...bound,
        removal_id,
        month,
        limit_ms: Math.min(end_ms, beforeMs),
        now_ms: parts.clock.now(),
      },
      recordingsOf(parts),
    );
    const [recorded] = await store.select<{ places: number }>(
      'SELECT sum(rows) AS places FROM removals WHERE removal_id = {removal_id:UUID}',
      { removal_id },
    );
    places += recorded?.places ?? 0;
    await deleteExpired(parts);
  }
  return places;
}

/** A removal by a time limit: in each partition of a log, what lies before a time, up to a place. */
interface Expiry {
  month: string;
  from_ms: number;
  before_ms: number;
  keys: number[];
  lasts: number[];
}

const EXPIRED = `received_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
  AND received_at < fromUnixTimestamp64Milli({before_ms:Int64}, 'UTC')
  AND has({keys:Array(UInt64)}, toUInt64(log_id) * 65536 + log_partition)
  AND log_offset <= transform(toUInt64(log_id) * 65536 + log_partition,
    {keys:Array(UInt64)}, {lasts:Array(UInt64)}, toUInt64(0))`;

/** Deletes what a recorded time limit took and is still there; answers how many rows there were. */
async function deleteExpired(parts: RemovalParts): Promise<number> {
  const { store } = parts;
  const [old] = await store.select<{ from_ms: number; rows: number }>(
    `SELECT count() AS rows, toUnixTimestamp64Milli(min(received_at)) AS from_ms FROM records
     WHERE received_at < (SELECT max(expired_before) FROM removals WHERE kind = 'expired')`,
  );
  if (old === undefined || old.rows === 0) return 0;
  const expiries = await store.select<Expiry>(
    `SELECT toString(toYYYYMM(min(minute))) AS month, toUnixTimestamp64Milli(min(minute)) AS from_ms,
       toUnixTimestamp64Milli(max(before)) AS before_ms,
       groupArray(key) AS keys, groupArray(last) AS lasts
     FROM (
       SELECT removal_id, toUInt64(log_id) * 65536 + log_partition AS key,
         max(log_offset) AS last, min(received_at) AS minute, max(expired_before) AS before
       FROM removals WHERE kind = 'expired' GROUP BY removal_id, key)
     GROUP BY removal_id
     HAVING before_ms > {from_ms:Int64}`,
    { from_ms: old.from_ms },
  );
  let rows = 0;
  for (const expiry of expiries) rows += await carryOut(parts, expiry);
  return rows;
}

async function carryOut(parts: RemovalParts, { month, ...expiry }: Expiry): Promise<number> {
  const { store } = parts;
  const bound = { ...expiry, month } satisfies Record<string, Value>;
  const count = async () => {
    const [counted] = await store.select<{ taken: number; others: number }>(
      `SELECT countIf(${EXPIRED}) AS taken, count() - taken AS others FROM records
       WHERE toString(toYYYYMM(received_at)) = {month:String}`,
      bound,
    );
    return counted ?? { taken: 0, others: 0 };
  };
  const { taken, others } = await count();
  if (taken === 0) return 0;
  let isDropped = false;
  if (others === 0)
    await parts.whileNobodyWrites(async () => {
      // Looked at again: a record of that month may have waited on the log for so long.
      isDropped = (await count()).others === 0;
      if (isDropped)
        await store.command(
          // Without it a month of more than 50 GB would be refused.
          `ALTER TABLE records DROP PARTITION ID {month:String}
           SETTINGS max_partition_size_to_drop = 0`,
          bound,
        );
    });
  if (!isDropped) await deleteRows(parts, EXPIRED, bound);
  return taken;
}
