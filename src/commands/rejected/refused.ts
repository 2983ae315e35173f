/**
 * Refused events as the store has them: how many, which, and which of them have come again since.
 * Pages follow the key of the rows, so that a long read holds one page in memory, and rows that
 * appear meanwhile neither shift nor repeat anything.
 */
import { readerOf } from '../../event/read.ts';
import type { Store, Value } from '../../store/store.ts';

/** A row of `rejected_events`. Lines of `list --json` have the same names. */
export interface Refused {
  project_id: string;
  event_id: string;
  /** `yyyy-mm-dd hh:mm:ss.mmm`, UTC */
  received_at: string;
  reason: string;
  field: string;
  payload: string;
  log_id: number;
  log_partition: number;
  log_offset: number;
  batch_id: number;
}

/** Which ones; an absent bound means all. */
export interface Selection {
  project?: string | undefined;
  reason?: string | undefined;
  /** In. */
  fromMs?: number | undefined;
  /** Out. */
  toMs?: number | undefined;
}

export interface Total {
  reason: string;
  open: number;
  /** Their (project_id, event_id) is in `events`. */
  replayed: number;
  newest_ms: number;
}

export type Order = 'oldest first' | 'newest first';

/** Rows of a page, each with at most `PAYLOAD_BYTES_MAX` of payload. */
const PAGE_ROWS = 1_000;
/** Ids of one question, in bytes of the address that they are sent in. */
const ASK_BYTES_MAX = 64 * 1024;
/** Later than any row, and a time the store can hold. */
const END_MS = Date.UTC(2200, 0, 1);
const UINT32_MAX = 4_294_967_295;

/**
 * A record that broke a later step may stand there without project and id, because nothing was
 * taken from it: then both are those of its text. What has no id anywhere gets one from its place,
 * which is its own for ever, so that it counts once however often it is sent again.
 */
const REFUSED = `
  SELECT coalesce(nullIf(CAST(project_id, 'String'), ''),
                  nullIf(JSONExtractString(payload, 'project_id'), ''),
                  JSONExtractString(payload, 'rejected', 'project_id')) AS project,
         coalesce(nullIf(event_id, ''),
                  nullIf(JSONExtractString(payload, 'event_id'), ''),
                  nullIf(JSONExtractString(payload, 'rejected', 'event_id'), ''),
                  concat('record-', toString(log_id), '-', toString(log_partition), '-', toString(log_offset))) AS id,
         received_at, reason, field, payload, log_id, log_partition, log_offset, batch_id
  FROM rejected_events
  WHERE ({reason:String} = '' OR reason = {reason:String})
    AND ({project:String} = '' OR project = {project:String})
    AND received_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    AND received_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')`;

function bind({ project = '', reason = '', fromMs = 0, toMs = END_MS }: Selection) {
  return { project, reason, from_ms: fromMs, to_ms: toMs } satisfies Record<string, Value>;
}

/** By reason, the most open ones first. */
export function countRefused(store: Store, selection: Selection): Promise<Total[]> {
  return store.select<Total>(
    `SELECT reason, count() - replayed AS open, toUnixTimestamp64Milli(max(received_at)) AS newest_ms,
       countIf((project, id) IN (
         SELECT project_id, event_id FROM events
         WHERE (project_id, event_id) IN (SELECT project, id FROM (${REFUSED})))) AS replayed
     FROM (${REFUSED})
     GROUP BY reason
     ORDER BY open DESC, reason`,
    bind(selection),
  );
}

/** Pages of what was refused, replayed or not. */
export async function* readRefused(
  store: Store,
  selection: Selection,
  order: Order,
): AsyncGenerator<Refused[]> {
  const isDown = order === 'newest first';
  const bound = { ...selection };
  const edge = isDown ? UINT32_MAX : 0;
  let after = { ms: isDown ? END_MS : 0, id: edge, partition: 0, offset: 0 };
  for (;;) {
    const rows = await store.select<Refused>(
      `SELECT project AS project_id, id AS event_id, received_at, reason, field, payload,
         log_id, log_partition, log_offset, batch_id
       FROM (${REFUSED})
       WHERE (received_at, log_id, log_partition, log_offset) ${isDown ? '<' : '>'}
         (fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC'),
          {after_log:UInt32}, {after_partition:UInt16}, {after_offset:UInt64})
       ORDER BY ${['received_at', 'log_id', 'log_partition', 'log_offset'].map((key) => `${key} ${isDown ? 'DESC' : 'ASC'}`).join(', ')}
       LIMIT {rows:UInt32}`,
      {
        ...bind(bound),
        rows: PAGE_ROWS,
        after_ms: after.ms,
        after_log: after.id,
        after_partition: after.partition,
        after_offset: after.offset,
      },
    );
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    const ms = receivedMs(last);
    after = { ms, id: last.log_id, partition: last.log_partition, offset: last.log_offset };
    // What the pages before have passed is not read again.
    if (isDown) bound.toMs = ms + 1;
    else bound.fromMs = ms;
  }
}

/** Those of `rows` whose (project_id, event_id) is in `events`. */
export async function findReplayed(store: Store, rows: readonly Refused[]): Promise<Set<Refused>> {
  const found = new Set<Refused>();
  for (const portion of portionsOf(rows)) {
    const stored = await store.select<{ project_id: string; event_id: string }>(
      `SELECT DISTINCT project_id, event_id FROM events
       WHERE project_id IN {projects:Array(String)} AND event_id IN {ids:Array(String)}`,
      {
        projects: [...new Set(portion.map((row) => row.project_id))],
        ids: [...new Set(portion.map((row) => row.event_id))],
      },
    );
    const keys = new Set(stored.map((row) => `${row.project_id}\0${row.event_id}`));
    for (const row of portion) if (keys.has(`${row.project_id}\0${row.event_id}`)) found.add(row);
  }
  return found;
}

/** Rows whose ids an address can hold. */
function portionsOf(rows: readonly Refused[]): Refused[][] {
  const portions: Refused[][] = [];
  let bytes = ASK_BYTES_MAX;
  for (const row of rows) {
    // Quotes, comma and escapes of the list, each three bytes in an address.
    const more = encodeURIComponent(`${row.event_id}${row.project_id}`).length + 32;
    if (bytes + more > ASK_BYTES_MAX) {
      portions.push([]);
      bytes = 0;
    }
    portions.at(-1)?.push(row);
    bytes += more;
  }
  return portions;
}

const readTime = readerOf({ is: 'time' });

/** The time of a row in ms; NaN when it is none, which only a line of a file can be. */
export function receivedMs(row: Pick<Refused, 'received_at'>): number {
  return Number(readTime(row.received_at, true));
}
