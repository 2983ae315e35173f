/**
 * The window of event ids against the store: filled from it at start, and asked where the memory
 * can only say "perhaps". A processor's share are the ids whose key falls into its partition,
 * whichever log they came by, so the window outlives a move to another log.
 */
import type { Clock } from '../base/clock.ts';
import { recordKey, type WireRecord } from '../event/wire.ts';
import type { Log, LogRecord } from '../log/log.ts';
import type { Store } from '../store/store.ts';
import type { FirstCopy, Window, WindowLimits } from './window.ts';

interface Share {
  store: Store;
  clock: Clock;
  log: Pick<Log, 'partitions' | 'stats'>;
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

/**
 * Fills `window` with the first copies that the store holds, oldest first. Returns how many.
 * It reaches back a window from what comes next. That is only guessed, because clocks jump; what
 * lies before is asked for, so a wrong guess costs time and nothing else.
 */
export async function loadWindow(
  share: Share,
  window: Window,
  onPage: () => void = () => undefined,
): Promise<number> {
  const newest = await share.store.select<{ newest_ms: number }>(
    "SELECT toUnixTimestamp64Milli(max(received_at)) AS newest_ms FROM records WHERE outcome = 'stored'",
  );
  const nowMs = share.clock.now();
  const nextMs = share.log.stats().oldestWaitingMs[share.partition] ?? nowMs;
  const sinceMs = Math.min(newest[0]?.newest_ms ?? 0, nextMs, nowMs) - share.window.windowMs;
  window.forgetBefore(sinceMs);
  let count = 0;
  let after: [number, number, number, number] = [sinceMs, 0, 0, -1];
  for (;;) {
    const rows: CopyRow[] = await share.store.select<CopyRow>(
      `SELECT ${COPY} FROM records
       WHERE outcome = 'stored' AND received_at >= fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC')
         AND CRC32(concat(project_id, '\\0', event_id)) % {partitions:UInt32} = {partition:UInt32}
         AND (received_ms, log_id, log_partition, log_offset)
           > ({after_ms:Int64}, {after_log:UInt32}, {after_partition:UInt16}, {after_offset:Int64})
       ORDER BY received_ms, log_id, log_partition, log_offset
       LIMIT {page:UInt32}`,
      {
        partitions: share.log.partitions,
        partition: share.partition,
        after_ms: after[0],
        after_log: after[1],
        after_partition: after[2],
        after_offset: after[3],
        page: PAGE_ROWS,
      },
    );
    for (const row of rows) window.add(recordKey(row.project_id, row.event_id), copyOf(share, row));
    count += rows.length;
    onPage();
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return count;
    after = [last.received_ms, last.log_id, last.log_partition, last.log_offset];
  }
}

/** A record, what it says, and its key; empty for a refused event, which is in no window. */
export interface Decoded {
  record: LogRecord;
  wire: WireRecord;
  key: string;
}

/**
 * For each record the copies within its window that were there before the batch. Looked up before
 * anything of the batch enters the window, because what enters may push out what was there.
 */
export async function findEarlierCopies(
  share: Share,
  window: Window,
  decoded: readonly Decoded[],
): Promise<FirstCopy[][]> {
  const found = decoded.map(({ key, record }) =>
    key === '' ? undefined : window.find(key, record.timeMs),
  );
  const unsure = decoded.filter((_, i) => found[i] === 'ask');
  const asked = await askCopies(share, unsure);
  return found.map((copy, i) => {
    if (copy === undefined) return [];
    if (copy !== 'ask') return [copy];
    const { key, record } = decoded[i] ?? { key: '', record: { timeMs: 0 } };
    const sinceMs = record.timeMs - share.window.windowMs;
    return asked.get(key)?.filter(({ timeMs }) => timeMs > sinceMs) ?? [];
  });
}

/** All copies of these records' ids in the window of the oldest of them, oldest first. */
async function askCopies(
  share: Share,
  unsure: readonly Decoded[],
): Promise<Map<string, FirstCopy[]>> {
  const projects = new Set<string>();
  const ids = new Set<string>();
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const { record, wire } of unsure) {
    if ('rejected' in wire) continue;
    projects.add(wire.event.project_id);
    ids.add(wire.event.event_id);
    oldestMs = Math.min(oldestMs, record.timeMs);
  }
  if (ids.size === 0) return new Map();
  const rows = await share.store.select<CopyRow>(
    `SELECT ${COPY} FROM records
     WHERE outcome = 'stored' AND received_at > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')
       AND project_id IN {projects:Array(String)} AND event_id IN {ids:Array(String)}
     ORDER BY received_ms, log_id, log_partition, log_offset`,
    { since_ms: oldestMs - share.window.windowMs, projects: [...projects], ids: [...ids] },
  );
  const byKey = Map.groupBy(rows, (row) => recordKey(row.project_id, row.event_id));
  return new Map([...byKey].map(([key, copies]) => [key, copies.map((row) => copyOf(share, row))]));
}

function copyOf(share: Share, row: CopyRow): FirstCopy {
  const ours = row.log_id === share.logId && row.log_partition === share.partition;
  return { offset: ours ? row.log_offset : -1, timeMs: row.received_ms };
}
