/**
 * One batch: what becomes of each record, in log order, and the INSERT that says so.
 *
 * The rows are decided again before each try, with what the store holds of the range by then. That
 * gives the same rows, but for one case: an event that the store itself refuses. It is kept as
 * rejected, its id leaves the window, and a copy of it later in the batch is no duplicate any more.
 */
import { AppError } from '../base/errors.ts';
import { decodeRecord, recordKey } from '../event/wire.ts';
import type { LogRecord } from '../log/log.ts';
import type { Value } from '../store/store.ts';
import type { Partition } from './partition.ts';
import type { Held } from './records.ts';
import { duplicateRow, type Place, rejectedRow, storedRow, unprocessable } from './row.ts';
import { type Decoded, findEarlierCopies } from './window/load.ts';
import type { FirstCopy, Window } from './window/window.ts';

/** The records from offset `from` to before `to`, none missing. */
export interface Batch {
  from: number;
  to: number;
  batch_id: number;
  records: LogRecord[];
}

/** A row with its offset, so that the missing ones of a batch can be picked. */
interface PlacedRow {
  record: LogRecord;
  /** As JSON: twenty thousand rows as arrays of values keep the garbage collector busy. */
  text: string;
}

type Outcomes = ReadonlyMap<number, Held['outcome']>;

/**
 * Inserts what the store does not hold of the batch. `looks` when there was an earlier try.
 * @throws AppError `store_…` when it is not known to be in the store: try again, and look.
 */
export async function finishBatch(
  p: Partition,
  window: Window,
  batch: Batch,
  looks: boolean,
): Promise<void> {
  for (let mustLook = looks; ; mustLook = true) {
    const held = mustLook ? await lookFor(p, batch) : new Map<number, Held['outcome']>();
    const rows = await toRows(p, window, batch, held, mustLook);
    const missing = rows.filter(({ record }) => !held.has(record.offset));
    if (missing.length === 0) return;
    if ((await insertRows(p, window, batch.batch_id, missing)) === 'all are in') return;
  }
}

/** What the store holds of the range, when no earlier insert can come in any more. */
async function lookFor(p: Partition, { from, to, batch_id }: Batch): Promise<Outcomes> {
  await p.retake();
  const held = await p.records.held(p, from, to);
  const outcomes = new Map(held.map((row) => [row.log_offset, row.outcome]));
  p.logger.info(
    { partition: p.partition, from, to, batch_id, held: outcomes.size },
    'looked for the rows of a batch in the store',
  );
  return outcomes;
}

/** Records that are decoded at once: what a record leaves behind must not grow old. */
const CHUNK = 500;

/** Decides about each record in log order. */
async function toRows(
  p: Partition,
  window: Window,
  { records, batch_id }: Batch,
  held: Outcomes,
  isAgain: boolean,
): Promise<PlacedRow[]> {
  const { logId: log_id, partition: log_partition, owner } = p;
  const rows: PlacedRow[] = [];
  for (let at = 0; at < records.length; at += CHUNK) {
    const decoded = records.slice(at, at + CHUNK).map(decode);
    for (const each of decoded)
      if (held.get(each.record.offset) === 'rejected') forgetRefused(window, each);
    const earlier = await findEarlierCopies(p, window, decoded);
    const repeats = new Set(decoded.map(({ key }) => key)).size < decoded.length;
    for (const [i, { record, wire, key }] of decoded.entries()) {
      const { offset, timeMs } = record;
      const place: Place = { log_id, log_partition, log_offset: offset, batch_id, owner };
      if ('rejected' in wire) {
        const values = rowOf(record, place, () => rejectedRow(wire.rejected, place));
        rows.push({ record, text: JSON.stringify(values) });
        continue;
      }
      // Among these records there may be another copy; after an earlier try the record itself is in
      // the window, or a later copy in its place.
      const found = repeats || isAgain ? window.find(key, timeMs) : undefined;
      const known = found === 'ask' ? undefined : found;
      const isBefore = (copy: FirstCopy): boolean => copy.offset < offset;
      const isRepeated =
        (earlier[i]?.some(isBefore) ?? false) || (known !== undefined && isBefore(known));
      const values = rowOf(record, place, () =>
        isRepeated ? duplicateRow(wire.event, place) : storedRow(wire, place),
      );
      // Only what is stored: a refused event may come again, mended.
      const isStored = values[0] === 'stored' && held.get(offset) !== 'rejected';
      if (isStored && known?.offset !== offset) window.add(key, { offset, timeMs });
      rows.push({ record, text: JSON.stringify(values) });
    }
  }
  return rows;
}

/** An id that was taken for stored before the store refused its event; not that of a repeated one. */
function forgetRefused(window: Window, { record, key }: Decoded): void {
  const copy = window.find(key, record.timeMs);
  if (copy !== undefined && copy !== 'ask' && copy.offset === record.offset) window.forget(key);
}

/** Rows are made of nothing but the record: whatever goes wrong is its own fault, every time. */
export function rowOf(record: LogRecord, place: Place, make: () => Value[]): Value[] {
  try {
    return make();
  } catch {
    return rejectedRow(unprocessable(record.bytes, record.timeMs), place);
  }
}

/** A record that cannot be decoded is one that was refused. */
export function decode(record: LogRecord): Decoded {
  try {
    const wire = decodeRecord(record.bytes);
    if ('rejected' in wire) return { record, wire, key: '' };
    return { record, wire, key: recordKey(wire.event.project_id, wire.event.event_id) };
  } catch {
    // Not the sender's fault and not to be lost: kept as it is, for repair.
    const rejected = unprocessable(record.bytes, record.timeMs);
    return { record, wire: { rejected }, key: '' };
  }
}

/**
 * Inserts all rows as one part. A row that the store refuses by itself is found by halving, in the
 * order of the log, and kept as `unprocessable`. If a copy of it comes later in the batch, that one
 * has to be decided again. When the store refuses even the kept row, it is the store.
 */
async function insertRows(
  p: Partition,
  window: Window,
  batchId: number,
  all: readonly PlacedRow[],
): Promise<'all are in' | 'decide again'> {
  const { logId: log_id, partition: log_partition, owner, clock } = p;

  async function insertPart(rows: readonly PlacedRow[]): Promise<'all are in' | 'decide again'> {
    try {
      const startedMs = clock.elapsed();
      await p.records.insert(
        p,
        rows.map((row) => row.text),
      );
      p.insertSeconds((clock.elapsed() - startedMs) / 1000);
      return 'all are in';
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'store_refused') throw error;
      const [only] = rows;
      if (only === undefined || rows.length > 1) {
        const middle = Math.ceil(rows.length / 2);
        const before = await insertPart(rows.slice(0, middle));
        return before === 'decide again' ? before : insertPart(rows.slice(middle));
      }
      const { record } = only;
      const decoded = decode(record);
      const { key } = decoded;
      const { offset, timeMs, bytes } = record;
      const place = { log_id, log_partition, log_offset: offset, batch_id: batchId, owner };
      const kept = rejectedRow(unprocessable(bytes, timeMs), place);
      await p.records.insert(p, [JSON.stringify(kept)]);
      forgetRefused(window, decoded);
      p.logger.warn({ ...place, err: error }, 'the store refused a record; kept as unprocessable');
      const isCopied =
        key !== '' &&
        all.some((row) => row.record.offset > offset && decode(row.record).key === key);
      return isCopied ? 'decide again' : 'all are in';
    }
  }

  return insertPart(all);
}
