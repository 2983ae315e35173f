/**
 * The processor: batches of the log in, one INSERT a batch out, each record exactly once.
 *
 * Per batch: read → intent (durable, with the committed offset) → rows → INSERT → commit.
 * Whatever happens in between, the data decide: an open intent, or an INSERT with an unknown end,
 * is settled by reading which offsets of its range the store holds and inserting the missing ones.
 * Nothing else is looked at, so a start costs the same after a year as after a minute.
 */
import { check } from '../base/check.ts';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Metrics } from '../base/metrics.ts';
import { decodeRecord, recordKey } from '../event/wire.ts';
import type { Committed, Log, LogRecord } from '../log/log.ts';
import type { Store, Value } from '../store/store.ts';
import { registerLog } from './log-id.ts';
import { COLUMNS, duplicateRow, type Place, rejectedRow, storedRow, unprocessable } from './row.ts';
import { createWindow, type Window, type WindowLimits } from './window.ts';
import { type Decoded, findEarlierCopies, loadWindow, openWindow } from './window-store.ts';

export interface ProcessorOptions {
  log: Log;
  store: Store;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  batchRowsMax: number;
  batchBytesMax: number;
  /** Shortest time between the starts of two inserts of a partition: bounds the number of parts. */
  batchIntervalMs: number;
  window: WindowLimits;
}

export interface Processor {
  /** Works until the signal fires, then ends after the batch it is in. Rejects on a fault. */
  run(signal: AbortSignal): Promise<void>;
  /** Every record received before this time (ms since 1970) is in the store. */
  storedUntilMs(): number;
  /** Batches stored since the start. */
  batches(): number;
}

/** A batch as it stands in the note of the log's committed offset: `offset` is its `from`. */
interface Intent {
  from: number;
  to: number;
  batch_id: number;
}

/** Of the column, an Int32; reached after years, and only a number for people. */
const BATCH_ID_MAX = 2_147_483_647;
/** First wait after the store failed, and the longest. */
const RETRY_MS = 50;
const RETRY_MS_MAX = 2_000;
/** How long a read waits for a first record: only the reaction to `signal` depends on it. */
const READ_WAIT_MS = 1_000;

export function createProcessor(options: ProcessorOptions): Processor {
  const { log, clock } = options;
  let batches = 0;
  const onBatch = (): void => {
    batches++;
  };
  return {
    batches: () => batches,
    async run(signal) {
      const logId = await untilStoreAnswers(options, signal, () =>
        registerLog(options.store, log.id),
      );
      if (logId === undefined) return;
      const countRow = options.metrics.counter(
        'clickstream_processed_total',
        'Records that reached the store, by what became of them.',
        ['outcome'],
      );
      const insertSeconds = options.metrics.histogram(
        'clickstream_insert_seconds',
        'Time of one insert into the store.',
        [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      );
      const partitions = Array.from({ length: log.partitions }, (_, partition) =>
        runPartition({ ...options, partition, logId, signal, countRow, insertSeconds, onBatch }),
      );
      await Promise.all(partitions);
    },
    storedUntilMs() {
      const waiting = log.stats().oldestWaitingMs.filter((ms) => ms !== undefined);
      return Math.min(clock.now(), ...waiting);
    },
  };
}

interface Partition extends ProcessorOptions {
  partition: number;
  logId: number;
  signal: AbortSignal;
  countRow: (by: number, labels: Readonly<Record<string, string>>) => void;
  insertSeconds: (value: number) => void;
  onBatch: () => void;
}

async function runPartition(p: Partition): Promise<void> {
  const { log, partition, signal } = p;
  const committed = await log.committed(partition);
  const begunEnd = Math.max(committed.offset, readIntent(committed.note)?.to ?? 0);
  // What a batch adds must not push out what the same batch added before.
  const batchMax = Math.max(p.batchRowsMax, begunEnd - committed.offset);
  const window = createWindow({ ...p.window, idsMax: Math.max(p.window.idsMax, batchMax) });
  const sinceMs = await untilStoreAnswers(p, signal, async () => {
    await refuseOlderLog(p, begunEnd);
    return openWindow(p, window);
  });
  if (sinceMs === undefined) return;
  await Promise.all([
    untilStoreAnswers(p, signal, () => loadWindow(p, window, sinceMs, signal)),
    runBatches(p, window, committed),
  ]);
}

async function runBatches(p: Partition, window: Window, committed: Committed): Promise<void> {
  const { log, partition, signal, clock } = p;
  const last = readIntent(committed.note);
  let offset = committed.offset;
  let batchId = last?.batch_id ?? 0;
  if (last !== undefined && last.to > offset) {
    p.logger.info({ partition, ...last }, 'finishing the batch that was open at the last end');
    if (!(await finishBatch(p, window, await readRange(p, last), last, 'look first'))) return;
    await log.commit(partition, last.to, committed.note);
    offset = last.to;
  }

  const limits = { recordsMax: p.batchRowsMax, bytesMax: p.batchBytesMax };
  while (!signal.aborted) {
    const records = await log.read(partition, offset, { ...limits, waitMs: READ_WAIT_MS, signal });
    const batch = cutAtMonth(records);
    if (batch.length === 0) continue;
    const startedMs = clock.elapsed();
    batchId = batchId < BATCH_ID_MAX ? batchId + 1 : 1;
    const intent = { from: offset, to: offset + batch.length, batch_id: batchId };
    const note = JSON.stringify(intent);
    await log.commit(partition, offset, note);
    if (!(await finishBatch(p, window, batch, intent, 'insert first'))) return;
    await log.commit(partition, intent.to, note);
    offset = intent.to;
    p.onBatch();
    await clock.sleep(p.batchIntervalMs - (clock.elapsed() - startedMs), signal);
  }
}

/**
 * Every offset that the store has of this log was begun by an intent on it. If not, the folder was
 * put back to an older state: its next offsets are taken, and new records would pass for stored.
 * @throws AppError `log_corrupt`.
 */
async function refuseOlderLog(p: Partition, begunEnd: number): Promise<void> {
  const [held] = await p.store.select<{ rows: number }>(
    `SELECT count() AS rows FROM records
     WHERE log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}
       AND log_offset >= {begun_end:UInt64}`,
    { log_id: p.logId, log_partition: p.partition, begun_end: begunEnd },
  );
  if (held?.rows === 0) return;
  throw new AppError(
    'log_corrupt',
    `The store holds ${held?.rows} records of partition ${p.partition} from ${begunEnd} on that the ` +
      'log folder has not begun to store: the folder is an older copy. Put back the newest one, ' +
      'or move it away to begin a new log.',
  );
}

function readIntent(note: string): Intent | undefined {
  return note === '' ? undefined : (JSON.parse(note) as Intent);
}

/** Reads a whole open range again; the log keeps what is not committed. */
async function readRange(p: Partition, { from, to }: Intent): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  while (from + records.length < to) {
    const more = await p.log.read(p.partition, from + records.length, {
      recordsMax: to - from - records.length,
      bytesMax: p.batchBytesMax,
      waitMs: 0,
    });
    check(more.length > 0, `the log holds ${from} to ${to} of its open batch`);
    for (const record of more) records.push({ ...record, bytes: Uint8Array.from(record.bytes) });
  }
  return records;
}

/** A batch never crosses a month of the table, or it would become two parts. */
function cutAtMonth(records: LogRecord[]): LogRecord[] {
  const first = records[0];
  const last = records.at(-1);
  if (first === undefined || last === undefined) return records;
  const month = monthOf(first.timeMs);
  const end = records.findIndex((record) => monthOf(record.timeMs) !== month);
  return end === -1 ? records : records.slice(0, end);
}

function monthOf(timeMs: number): number {
  const date = new Date(timeMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** A row with its offset, so that the missing ones of a batch can be picked. */
interface PlacedRow {
  offset: number;
  values: Value[];
  record: LogRecord;
  /** Of the event in the window. */
  key: string;
}

/**
 * Brings the batch into the store, whatever it takes; false when the signal ended it before.
 * `look first` when an earlier insert of the same range may have happened.
 */
async function finishBatch(
  p: Partition,
  window: Window,
  records: LogRecord[],
  intent: Intent,
  how: 'insert first' | 'look first',
): Promise<boolean> {
  const done = await untilStoreAnswers(p, p.signal, async () => {
    const rows = await toRows(p, window, records, intent.batch_id);
    return {
      rows,
      missing: how === 'look first' ? await missingRows(p, window, intent, rows) : rows,
    };
  });
  if (done === undefined) return false;
  let missing = done.missing;
  let mustLook = false;
  const inserted = await untilStoreAnswers(p, p.signal, async () => {
    if (mustLook) missing = await missingRows(p, window, intent, done.rows);
    mustLook = true;
    if (missing.length > 0) await insertRows(p, window, missing, intent.batch_id);
    return true;
  });
  for (const { values } of inserted ? done.rows : []) p.countRow(1, { outcome: String(values[0]) });
  return inserted === true;
}

/** Decides about each record in log order. Repeating it with the same window gives the same rows. */
async function toRows(
  p: Partition,
  window: Window,
  records: LogRecord[],
  batchId: number,
): Promise<PlacedRow[]> {
  const decoded = records.map(decode);
  const earlier = await findEarlierCopies(p, window, decoded);
  return decoded.map(({ record, wire, key }, i) => {
    const { offset, timeMs } = record;
    const place = {
      log_id: p.logId,
      log_partition: p.partition,
      log_offset: offset,
      batch_id: batchId,
    };
    const keep = (make: () => Value[]): PlacedRow => ({
      offset,
      record,
      key,
      values: rowOf(record, place, make),
    });
    if ('rejected' in wire) return keep(() => rejectedRow(wire.rejected, place));
    const copies = earlier[i] ?? [];
    // None before the batch; perhaps one in it.
    const added = copies.length > 0 ? undefined : window.find(key, timeMs);
    if (added !== undefined && added !== 'ask') copies.push(added);
    // A copy that is not before it is the record itself, read again.
    const isRepeated = copies.some((copy) => copy.offset < offset);
    const row = keep(() => (isRepeated ? duplicateRow : storedRow)(wire.event, place));
    // Only what is stored: a refused event may come again, mended.
    if (copies.length === 0 && row.values[0] === 'stored') window.add(key, { offset, timeMs });
    return row;
  });
}

/** Rows are made of nothing but the record: whatever goes wrong is its own fault, every time. */
function rowOf(record: LogRecord, place: Place, make: () => Value[]): Value[] {
  try {
    return make();
  } catch {
    return rejectedRow(unprocessable(record.bytes, record.timeMs), place);
  }
}

function decode(record: LogRecord): Decoded {
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

/** What of the range the store does not hold, after every earlier insert is known to be over. */
async function missingRows(
  p: Partition,
  window: Window,
  intent: Intent,
  rows: PlacedRow[],
): Promise<PlacedRow[]> {
  await p.store.settle();
  const held = await p.store.select<{ log_offset: number; outcome: string }>(
    `SELECT log_offset, outcome FROM records
     WHERE log_id = {log_id:UInt32} AND log_partition = {log_partition:UInt16}
       AND log_offset >= {from:UInt64} AND log_offset < {to:UInt64}`,
    { log_id: p.logId, log_partition: p.partition, from: intent.from, to: intent.to },
  );
  const outcomes = new Map(held.map((row) => [row.log_offset, row.outcome]));
  // The store had refused it before: what was decided about it now is not what became of it.
  for (const { offset, key, values } of rows)
    if (values[0] === 'stored' && outcomes.get(offset) === 'rejected') window.forget(key);
  const missing = rows.filter((row) => !outcomes.has(row.offset));
  p.logger.info(
    { partition: p.partition, ...intent, held: outcomes.size, missing: missing.length },
    'looked for the rows of a batch in the store',
  );
  return missing;
}

/**
 * Inserts all rows as one part. A row that the store refuses by itself is found by halving and
 * kept as `unprocessable`; the rest goes in. When the store refuses even that, it is the store.
 */
async function insertRows(
  p: Partition,
  window: Window,
  rows: PlacedRow[],
  batchId: number,
): Promise<void> {
  const startedMs = p.clock.elapsed();
  try {
    await p.store.insert(
      'records',
      COLUMNS,
      rows.map((row) => row.values),
    );
    p.insertSeconds((p.clock.elapsed() - startedMs) / 1000);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'store_refused') throw error;
    const [first, ...rest] = rows;
    if (first === undefined) throw error;
    if (rest.length > 0) {
      const middle = Math.ceil(rows.length / 2);
      await insertRows(p, window, rows.slice(0, middle), batchId);
      await insertRows(p, window, rows.slice(middle), batchId);
      return;
    }
    const place = {
      log_id: p.logId,
      log_partition: p.partition,
      log_offset: first.offset,
      batch_id: batchId,
    };
    const projectId = String(first.values[COLUMNS.indexOf('project_id')]);
    const kept = rejectedRow(
      unprocessable(first.record.bytes, first.record.timeMs, projectId),
      place,
    );
    await p.store.insert('records', COLUMNS, [kept]);
    window.forget(first.key);
    p.logger.warn({ ...place, err: error }, 'the store refused a record; kept as unprocessable');
  }
}

/**
 * Repeats `work` with a growing pause while the store does not answer, refuses, or leaves it open
 * what happened. Undefined when the signal ended it. Any other fault is thrown.
 */
async function untilStoreAnswers<T>(
  p: Pick<ProcessorOptions, 'clock' | 'logger'>,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T | undefined> {
  for (let waitMs = RETRY_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof AppError) || !error.code.startsWith('store_')) throw error;
      p.logger.warn(
        { code: error.code, message: error.message, waitMs },
        'the store is in trouble',
      );
    }
    await p.clock.sleep(waitMs, signal);
  }
  return undefined;
}
