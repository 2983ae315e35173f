/**
 * The window of event ids against the store: filled from it at start, and asked where the memory
 * can only say "perhaps". A processor's share are the ids whose key falls into its partition,
 * whichever log they came by, so the window outlives a move to another log.
 */
import { recordKey, type WireRecord } from '../event/wire.ts';
import type { LogRecord } from '../log/log.ts';
import type { Store } from '../store/store.ts';
import type { FirstCopy, Window, WindowLimits } from './window.ts';

interface Share {
  store: Store;
  log: { readonly partitions: number };
  logId: number;
  partition: number;
  window: WindowLimits;
}

interface CopyRow {
  project_id: string;
  event_id: string;
  log_id: number;
  log_partition: number;
  log_offset: number;
  received_ms: number;
}

const COPY = `project_id, event_id, log_id, log_partition, log_offset,
  toUnixTimestamp64Milli(received_at) AS received_ms`;

/** Rows read at once while the window is filled; bounds the memory of the answer. */
const PAGE_ROWS = 100_000;

/** Fills `window` with the first copies that the store holds, oldest first. Returns how many. */
export async function loadWindow(share: Share, window: Window): Promise<number> {
  const newest = await share.store.select<{ newest_ms: number }>(
    "SELECT toUnixTimestamp64Milli(max(received_at)) AS newest_ms FROM records WHERE outcome = 'stored'",
  );
  const sinceMs = (newest[0]?.newest_ms ?? 0) - share.window.windowMs;
  let count = 0;
  let after: [number, number, number] = [sinceMs, 0, -1];
  for (;;) {
    const rows: CopyRow[] = await share.store.select<CopyRow>(
      `SELECT ${COPY} FROM records
       WHERE outcome = 'stored' AND received_at >= fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC')
         AND CRC32(concat(project_id, '\\0', event_id)) % {partitions:UInt32} = {partition:UInt32}
         AND (received_ms, log_id, log_offset) > ({after_ms:Int64}, {after_log:UInt32}, {after_offset:Int64})
       ORDER BY received_ms, log_id, log_offset
       LIMIT {page:UInt32}`,
      {
        partitions: share.log.partitions,
        partition: share.partition,
        after_ms: after[0],
        after_log: after[1],
        after_offset: after[2],
        page: PAGE_ROWS,
      },
    );
    for (const row of rows) window.add(recordKey(row.project_id, row.event_id), copyOf(share, row));
    count += rows.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return count;
    after = [last.received_ms, last.log_id, last.log_offset];
  }
}

/** The store's first copies of those events of a batch about which the window is not sure. */
export async function askFirstCopies(
  share: Share,
  window: Window,
  decoded: readonly { record: LogRecord; wire: WireRecord }[],
): Promise<Map<string, FirstCopy>> {
  const keys: [string, string][] = [];
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const { record, wire } of decoded) {
    if ('rejected' in wire) continue;
    const { project_id, event_id } = wire.event;
    if (window.find(recordKey(project_id, event_id), record.timeMs) !== 'ask') continue;
    keys.push([project_id, event_id]);
    oldestMs = Math.min(oldestMs, record.timeMs);
  }
  const copies = new Map<string, FirstCopy>();
  if (keys.length === 0) return copies;
  const rows = await share.store.select<CopyRow>(
    `SELECT ${COPY} FROM records
     WHERE outcome = 'stored' AND received_at > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
       AND project_id IN {projects:Array(String)} AND event_id IN {ids:Array(String)}
     ORDER BY received_ms, log_id, log_offset`,
    {
      since_ms: oldestMs - share.window.windowMs,
      projects: [...new Set(keys.map(([project]) => project))],
      ids: keys.map(([, id]) => id),
    },
  );
  for (const row of rows) {
    const key = recordKey(row.project_id, row.event_id);
    if (!copies.has(key)) copies.set(key, copyOf(share, row));
  }
  return copies;
}

function copyOf(share: Share, row: CopyRow): FirstCopy {
  const ours = row.log_id === share.logId && row.log_partition === share.partition;
  return { offset: ours ? row.log_offset : -1, timeMs: row.received_ms };
}
