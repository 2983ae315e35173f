/**
 * What the store holds of every log, counted for the sum of the pipeline: the SQL of it.
 *
 * Of the current log only what lies below the committed offsets counts, because a batch may be on
 * its way. `followed` tells the rows whose records the tally has counted from those before.
 */
import type { Store, Value } from '../../store/store.ts';
import type { Counted } from './tally.ts';

type Outcome = 'stored' | 'duplicate' | 'rejected';

interface Cell {
  log_id: number;
  log_partition: number;
  project_id: string;
  /** Start of the minute in ms since 1970; 0 for all that is older than the last 60. */
  minute: number;
  followed: 0 | 1;
  rows: number;
  last_offset: number;
}

interface RowsOf extends Cell {
  outcome: Outcome;
  /** Of the rows, those that are recorded as removed and are still there. */
  still_there: number;
}

interface RejectedOf {
  project_id: string;
  reason: string;
  field: string;
  last_hour: number;
  events: number;
}

export interface StoreCounts {
  rows: RowsOf[];
  removed: Cell[];
  rejected: RejectedOf[];
}

/** While something is being removed the two counts are taken again, so often at most. */
const TRIES_MAX = 3;
const REASONS_MAX = 500;

const SINCE = "fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')";
const IS_DONE =
  '(log_id != {log_id:UInt32} OR log_offset < arrayElement({committed:Array(UInt64)}, log_partition + 1))';
const IS_FROM = 'log_offset >= arrayElement({from:Array(UInt64)}, log_partition + 1)';

/** The columns that rows and removals are counted by. */
const cell = (isFrom: string): string => `log_id, log_partition, project_id,
  if(received_at >= ${SINCE}, toUnixTimestamp(toStartOfMinute(received_at)) * 1000, 0) AS minute,
  minute > 0 AND log_id = {log_id:UInt32} AND (${isFrom}) AS followed`;

export async function countInStore(
  store: Store,
  logId: number,
  counted: Counted,
): Promise<StoreCounts> {
  const { committed, from, sinceMs } = counted;
  const bounds = { log_id: logId, committed, from, since_ms: sinceMs };
  for (let tries = 1; ; tries++) {
    const before = await countRemovals(store, bounds);
    const rows = await countRows(store, bounds, before.length > 0);
    const removed = await countRemovals(store, bounds);
    // The two tables are read one after the other: they agree if no removal came between.
    const isStill = JSON.stringify(before) === JSON.stringify(removed);
    if (isStill || tries === TRIES_MAX) {
      return { rows, removed, rejected: await countReasons(store, bounds) };
    }
  }
}

type Bounds = Readonly<Record<string, Value>>;

function countRows(store: Store, bounds: Bounds, looks: boolean): Promise<RowsOf[]> {
  return store.select<RowsOf>(
    `SELECT ${cell(IS_FROM)}, outcome, count() AS rows, max(log_offset) AS last_offset,
       ${looks ? `countIf(${IS_RECORDED})` : '0'} AS still_there
     FROM records WHERE ${IS_DONE}
     GROUP BY log_id, log_partition, project_id, minute, followed, outcome`,
    bounds,
  );
}

/**
 * Whether a row of `records` is recorded as removed (schema/006_removals.sql). Of a minute that a time
 * limit took there may be more: what was received after the limit, and what waited on the log then.
 */
const IS_RECORDED = `
  (log_id, log_partition, log_offset) IN (
    SELECT log_id, log_partition, log_offset FROM removals WHERE kind = 'erased')
  OR received_at < (SELECT max(expired_before) FROM removals WHERE kind = 'expired')
    AND log_offset <= (
      SELECT mapFromArrays(groupArray(log_key), groupArray(last)) FROM (
        SELECT toUInt64(log_id) * 65536 + log_partition AS log_key, max(log_offset) AS last
        FROM removals WHERE kind = 'expired' GROUP BY log_key)
      )[toUInt64(log_id) * 65536 + log_partition]
    AND (project_id, log_id, log_partition, toStartOfMinute(received_at)) IN (
      SELECT project_id, log_id, log_partition, toStartOfMinute(received_at)
      FROM removals WHERE kind = 'expired')`;

/** What is recorded as removed. A row for a whole minute has no offset that could be waiting. */
function countRemovals(store: Store, bounds: Bounds): Promise<Cell[]> {
  return store.select<Cell>(
    `SELECT ${cell(`kind = 'expired' OR ${IS_FROM}`)},
       sum(r.rows) AS rows, max(log_offset) AS last_offset
     FROM removals AS r WHERE kind = 'expired' OR ${IS_DONE}
     GROUP BY log_id, log_partition, project_id, minute, followed
     ORDER BY ALL`,
    bounds,
  );
}

function countReasons(store: Store, bounds: Bounds): Promise<RejectedOf[]> {
  return store.select<RejectedOf>(
    `SELECT project_id, reason, field, countIf(received_at >= ${SINCE}) AS last_hour,
       count() AS events
     FROM records WHERE outcome = 'rejected' AND ${IS_DONE}
     GROUP BY project_id, reason, field
     ORDER BY last_hour DESC, events DESC, project_id, reason, field LIMIT ${REASONS_MAX}`,
    bounds,
  );
}
