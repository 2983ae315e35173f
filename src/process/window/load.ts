/**
 * The window of event ids against the store: loaded from it after a start, and asked where the
 * memory can only say "perhaps". A processor's share are the ids whose key falls into its partition,
 * whichever log they came by, so the window outlives a move to another log.
 */
import type { Clock } from '../../base/clock.ts';
import type { Rejected } from '../../event/rejection.ts';
import { type ReadEvent, recordKey } from '../../event/wire.ts';
import type { Log, LogRecord } from '../../log/log.ts';
import type { Records, StoredCopy } from '../records.ts';
import type { ErasedIds } from './erased-ids.ts';
import type { FirstCopy, Window, WindowLimits } from './window.ts';

interface Share {
  records: Records;
  clock: Clock;
  log: Pick<Log, 'partitions' | 'stats'>;
  logId: number;
  partition: number;
  window: WindowLimits;
}

/** Ids read at once while the window is loaded; bounds the answer and how long it holds up others. */
const PAGE_IDS = 20_000;
/** The window is cut into so many slices of time, and pages are made of whole slices. */
const SLICES = 100_000;

/**
 * From now on the window is right: whatever the store holds already is asked for. Answers the time
 * since when it has to be loaded to be fast as well. That is only guessed, because clocks jump;
 * what lies before is asked for, so a wrong guess costs time and nothing else.
 */
export async function openWindow(share: Share, window: Window): Promise<number> {
  const newestMs = await share.records.newestMs();
  window.loadedSince(newestMs);
  const nowMs = share.clock.now();
  const nextMs = (await share.log.stats()).oldestWaitingMs[share.partition] ?? nowMs;
  return Math.min(newestMs, nextMs, nowMs) - share.window.windowMs;
}

/**
 * Loads the ids that the store holds since `sinceMs`, the newest first, while events come in. Ends
 * early when the filters are full: what is older goes on being asked for.
 */
export async function loadWindow(
  share: Share,
  window: Window,
  sinceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const sliceMs = Math.ceil(share.window.windowMs / SLICES);
  const slices = await share.records.countBySlice(sinceMs, sliceMs);
  const ofPartition = { partition: share.partition, partitions: share.log.partitions };
  while (slices.length > 0 && !signal.aborted) {
    const page = [slices.shift()];
    for (let ids = page[0]?.ids ?? 0; slices.length > 0; ) {
      ids += slices[0]?.ids ?? 0;
      if (ids > PAGE_IDS) break;
      page.push(slices.shift());
    }
    const fromMs = (page.at(-1)?.slice ?? 0) * sliceMs;
    const toMs = ((page[0]?.slice ?? 0) + 1) * sliceMs;
    const rows = await share.records.storedIds({ fromMs, toMs }, ofPartition);
    for (const { project_id, event_id, received_ms } of rows)
      if (!window.load(recordKey(project_id, event_id), received_ms)) return;
    window.loadedSince(fromMs);
  }
  if (!signal.aborted) window.loadedSince(sinceMs);
}

/** A record, what it says, and its key; empty for a refused event, which is in no window. */
export interface Decoded {
  record: LogRecord;
  wire: ReadEvent | { rejected: Rejected };
  key: string;
}

/**
 * For each record the copies within its window that were there before the batch. Looked up before
 * anything of the batch enters the window, because what enters may push out what was there.
 */
export async function findEarlierCopies(
  share: Share & { erasedIds: ErasedIds },
  window: Window,
  decoded: readonly Decoded[],
): Promise<FirstCopy[][]> {
  const found = decoded.map(({ key, record }) => {
    const copy = key === '' ? undefined : window.find(key, record.timeMs);
    // Added by an earlier try of the same batch, it has taken the place of what was there before.
    const isLater = copy !== undefined && copy !== 'ask' && copy.offset > record.offset;
    return isLater ? 'ask' : copy;
  });
  const unsure = decoded.filter((_, i) => found[i] === 'ask');
  const asked = await askCopies(share, unsure);
  // After it: rows are deleted when it is known everywhere that they are erased.
  const erasedTimes = await share.erasedIds.since(oldestOf(decoded) - share.window.windowMs);
  return found.map((copy, i) => {
    if (copy !== undefined && copy !== 'ask') return [copy];
    const { key, record } = decoded[i] ?? { key: '', record: { timeMs: 0 } };
    const sinceMs = record.timeMs - share.window.windowMs;
    const copies = asked.get(key)?.filter(({ timeMs }) => timeMs > sinceMs) ?? [];
    // Neither the store nor a window that was filled from it knows of what was erased.
    const erasedMs = erasedTimes(key).find((timeMs) => timeMs > sinceMs);
    return erasedMs === undefined ? copies : [...copies, { offset: -1, timeMs: erasedMs }];
  });
}

function oldestOf(decoded: readonly Decoded[]): number {
  return decoded.reduce((ms, { record }) => Math.min(ms, record.timeMs), Infinity);
}

/** Ids of one question, in bytes of the address that they are sent in. */
const ASK_BYTES_MAX = 64 * 1024;

/** All copies of these records' ids since the window of the oldest of them, oldest first. */
export async function askCopies(
  share: Pick<Share, 'records' | 'logId' | 'partition'> & {
    window: Pick<WindowLimits, 'windowMs'>;
  },
  unsure: readonly Decoded[],
): Promise<Map<string, FirstCopy[]>> {
  const oldestMs = oldestOf(unsure);
  const copies = new Map<string, FirstCopy[]>();
  for (const { project, ids } of questionsOf(unsure)) {
    const rows = await share.records.copies(project, [...ids], oldestMs - share.window.windowMs);
    for (const row of rows) {
      const key = recordKey(row.project_id, row.event_id);
      const known = copies.get(key);
      if (known === undefined) copies.set(key, [copyOf(share, row)]);
      else known.push(copyOf(share, row));
    }
  }
  return copies;
}

/** The ids to ask for, by project, in portions that an address can hold. */
function questionsOf(unsure: readonly Decoded[]): { project: string; ids: Set<string> }[] {
  const open = new Map<string, { project: string; ids: Set<string>; bytes: number }>();
  const full: { project: string; ids: Set<string> }[] = [];
  for (const { wire } of unsure) {
    if ('rejected' in wire) continue;
    const { project_id: project, event_id } = wire.event;
    // Quotes, comma and escapes of the list, each three bytes in an address.
    const bytes = encodeURIComponent(event_id).length + 16;
    let portion = open.get(project);
    if (portion === undefined || portion.bytes + bytes > ASK_BYTES_MAX) {
      portion = { project, ids: new Set(), bytes: 0 };
      open.set(project, portion);
      full.push(portion);
    }
    if (!portion.ids.has(event_id)) portion.bytes += bytes;
    portion.ids.add(event_id);
  }
  return full;
}

function copyOf(share: Pick<Share, 'logId' | 'partition'>, row: StoredCopy): FirstCopy {
  const ours = row.log_id === share.logId && row.log_partition === share.partition;
  return { offset: ours ? row.log_offset : -1, timeMs: row.received_ms };
}
