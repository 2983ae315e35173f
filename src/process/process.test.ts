/**
 * The processor on a real engine: each record one row, whatever happened before, and whatever the
 * record holds.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Clock, realClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { createLogger } from '../base/logger.ts';
import { createMetrics } from '../base/metrics.ts';
import { type Engine, startEngine } from '../engine/start.ts';
import type { Event } from '../event/event.ts';
import { encodeRecord, recordKey } from '../event/wire.ts';
import type { Log, NewRecord } from '../log/log.ts';
import { createMemoryLog } from '../log/memory.ts';
import { createClickHouseStore } from '../store/clickhouse.ts';
import type { Store } from '../store/store.ts';
import { createProcessor } from './process.ts';
import { createRecords, type Records } from './records.ts';
import { COLUMNS, rejectedRow, storedRow, unprocessable } from './row.ts';
import { loadWindow, openWindow } from './window/load.ts';
import { createWindow } from './window/window.ts';

const logger = createLogger('silent');
const NOW_MS = Date.UTC(2026, 10, 24, 12);
let folder: string;
let engine: Engine;
let store: Store;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clickstream-process-'));
  const memoryBytesMax = 512 * 1024 * 1024;
  engine = await startEngine({
    folder,
    port: 0,
    memoryBytesMax,
    readers: 2,
    logger,
    clock: realClock,
  });
  const { name: user, password } = engine.owner;
  store = createClickHouseStore({ url: engine.url, user, password, database: 'clickstream' });
  await store.migrate();
});

after(async () => {
  await store.close();
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

let made = 0;

function event(more: Partial<Event> = {}): Event {
  made++;
  return {
    v: 1,
    project_id: 'shop',
    event_id: `e-${made}`,
    session_id: 's',
    visitor_id: 'v',
    event_time: NOW_MS,
    received_at: NOW_MS,
    event_name: 'CLICK',
    ...more,
  };
}

const read = (e: Event) => ({ event: e, propertiesText: '' });

function record(e: Event): NewRecord {
  return {
    key: recordKey(e.project_id, e.event_id),
    bytes: encodeRecord({ event: e }),
    timeMs: e.received_at,
  };
}

const newLog = (): Log => createMemoryLog({ clock: realClock, partitions: 1 });

/** Lets a processor work until nothing waits on the log. */
async function processAll(
  log: Log,
  {
    idsMax = 1_000,
    batchRowsMax = 1_000,
    batchIntervalMs = 1,
    records = createRecords(store),
    clock = realClock,
  } = {},
): Promise<void> {
  const ended = new AbortController();
  const processor = createProcessor({
    log,
    records,
    clock,
    logger,
    metrics: createMetrics(),
    batchRowsMax,
    batchBytesMax: 1_000_000,
    batchIntervalMs,
    window: { windowMs: 86_400_000, idsMax, bytesMax: 50_000 },
  });
  const running = processor.run(ended.signal);
  const isWaiting = async () => (await log.stats()).oldestWaitingMs.some((ms) => ms !== undefined);
  while (await isWaiting()) await Promise.race([realClock.sleep(2), running]);
  ended.abort();
  await running;
}

interface Row {
  outcome: string;
  event_id: string;
  log_offset: number;
  batch_id: number;
  reason: string;
  payload: string;
}

async function rowsOf(log: Log): Promise<Row[]> {
  const log_id = await createRecords(store).registerLog(log.id);
  return store.select<Row>(
    `SELECT outcome, event_id, log_offset, batch_id, reason, payload FROM records
     WHERE log_id = {log_id:UInt32} ORDER BY log_offset`,
    { log_id },
  );
}

const outcomes = (rows: Row[]): string[] => rows.map((row) => `${row.log_offset} ${row.outcome}`);

test('each record becomes one row in the order of the log', async () => {
  const log = newLog();
  await log.append([event(), event(), event()].map(record));
  await processAll(log);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored', '2 stored']);
});

test('partitions that are worked on together share the time between two inserts', async () => {
  const log = createMemoryLog({ clock: realClock, partitions: 3 });
  await log.append(Array.from({ length: 100 }, () => record(event())));
  const pauses: number[] = [];
  // One that stands still: the pauses that are asked for are all that tells the inserts apart.
  const clock: Clock = {
    ...realClock,
    elapsed: () => 0,
    async sleep(ms) {
      pauses.push(ms);
    },
  };
  await processAll(log, { batchRowsMax: 10, batchIntervalMs: 40, clock });
  const inserts = (await log.stats()).ends.reduce((sum, end) => sum + Math.ceil(end / 10), 0);
  assert.deepEqual(
    pauses.toSorted((a, b) => a - b),
    Array.from({ length: inserts }, (_, i) => (i + 1) * 40),
  );
});

test('an event id that comes again is a duplicate, in one batch, in the next, and after a restart', async () => {
  const log = newLog();
  const first = event();
  await log.append([record(first), record(first)]);
  await processAll(log);
  await log.append([record({ ...first, session_id: 'another' })]);
  await processAll(log);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 duplicate', '2 duplicate']);
});

test('an event id that came by another log is a duplicate too', async () => {
  const [one, two] = [newLog(), newLog()];
  const first = event();
  await one.append([record(first)]);
  await processAll(one);
  await two.append([record(first), record(event())]);
  await processAll(two);
  assert.deepEqual(outcomes(await rowsOf(two)), ['0 duplicate', '1 stored']);
});

test('an id that no longer fits into memory is asked of the store', async () => {
  const log = newLog();
  const first = event();
  await log.append([first, ...Array.from({ length: 50 }, () => event())].map(record));
  await processAll(log, { idsMax: 10 });
  await log.append([record(first)]);
  await processAll(log, { idsMax: 10 });
  assert.equal((await rowsOf(log)).at(-1)?.outcome, 'duplicate');
});

test('a window that is loaded knows the ids of the store, and which ones are new', async () => {
  const log = newLog();
  const events = Array.from({ length: 50 }, (_, i) => event({ received_at: NOW_MS + i * 60_000 }));
  await log.append(events.map(record));
  await processAll(log);
  const limits = { windowMs: 86_400_000, idsMax: 10, bytesMax: 50_000 };
  const window = createWindow(limits);
  const logId = await createRecords(store).registerLog(log.id);
  const share = {
    records: createRecords(store),
    clock: realClock,
    log,
    logId,
    partition: 0,
    window: limits,
  };
  const sinceMs = await openWindow(share, window);
  const atMs = NOW_MS + 3_600_000;
  assert.equal(window.find('shop\0new', atMs), 'ask');
  await loadWindow(share, window, sinceMs, new AbortController().signal);
  assert.equal(window.find('shop\0new', atMs), undefined);
  for (const { event_id } of events) assert.equal(window.find(`shop\0${event_id}`, atMs), 'ask');
});

test('an id that leaves the memory in the middle of a batch is recognised in that batch', async () => {
  const log = newLog();
  const [first, ...others] = Array.from({ length: 60 }, () => event());
  assert.ok(first !== undefined);
  await log.append([first, ...others.slice(0, 9)].map(record));
  await processAll(log, { idsMax: 10, batchRowsMax: 10 });
  // The first of these takes the place of `first`, the last repeats it.
  await log.append([...others.slice(9, 12), first].map(record));
  await processAll(log, { idsMax: 10, batchRowsMax: 10 });
  assert.equal((await rowsOf(log)).at(-1)?.outcome, 'duplicate');
  // A batch of more ids than the memory was to hold.
  const again = event();
  await log.append([again, ...others.slice(12), again].map(record));
  await processAll(log, { idsMax: 10 });
  assert.equal((await rowsOf(log)).at(-1)?.outcome, 'duplicate');
});

test('any number of ids can be asked of the store', async () => {
  const log = newLog();
  const long = () => event({ event_id: `${made}-${'ü'.repeat(90)}` });
  const first = Array.from({ length: 900 }, long);
  for (let i = 0; i < 6; i++) {
    await log.append((i === 0 ? first : Array.from({ length: 900 }, long)).map(record));
    await processAll(log);
  }
  // By now every id that is not in memory is asked for.
  await log.append([...first, ...Array.from({ length: 100 }, long)].map(record));
  await processAll(log, { idsMax: 10 });
  const last = (await rowsOf(log)).slice(-1_000).map((row) => row.outcome);
  assert.deepEqual(last, [...Array(900).fill('duplicate'), ...Array(100).fill('stored')]);
});

test('a clock that ran ahead for a while makes no repeated id new', async () => {
  const log = newLog();
  const [before, ahead] = [event(), event({ received_at: NOW_MS + 9 * 365 * 86_400_000 })];
  await log.append([record(before), record(ahead)]);
  await processAll(log);
  await log.append([before, ahead, event()].map(record));
  await processAll(log);
  assert.deepEqual(outcomes(await rowsOf(log)).slice(2), [
    '2 duplicate',
    '3 duplicate',
    '4 stored',
  ]);
  await store.command(
    `ALTER TABLE records DELETE WHERE received_at > '2030-01-01' SETTINGS mutations_sync = 1`,
  );
});

test('of two older copies that are asked for, one within the window is enough', async () => {
  const log = newLog();
  const first = event();
  const at = (hours: number, e: Event) => record({ ...e, received_at: NOW_MS + hours * 3_600_000 });
  await log.append([
    at(0, first),
    at(25, first),
    ...Array.from({ length: 30 }, () => at(25, event())),
  ]);
  await processAll(log, { idsMax: 10, batchRowsMax: 10 });
  // The first record of the batch is so old that both copies of the other one are read.
  const old = event();
  await log.append([at(0, old), at(0, old), at(30, first)]);
  await processAll(log, { idsMax: 10, batchRowsMax: 10 });
  assert.deepEqual(outcomes(await rowsOf(log)).slice(-3), [
    '32 stored',
    '33 duplicate',
    '34 duplicate',
  ]);
});

test('a log that is older than what the store has of it is refused', async () => {
  const log = newLog();
  await log.append([record(event())]);
  const log_id = await createRecords(store).registerLog(log.id);
  const place = { log_id, log_partition: 0, log_offset: 0, batch_id: 1, owner: 0 };
  await store.insert('records', COLUMNS, [storedRow(read(event()), place)]);
  await assert.rejects(processAll(log), { code: 'log_corrupt', message: /log folder/ });
});

test('of a shared log whose committed offset is older than what is stored, it goes on after that', async () => {
  const log: Log = { ...newLog(), isExclusive: false };
  const events = [event(), event()];
  await log.append(events.map(record));
  const log_id = await createRecords(store).registerLog(log.id);
  const rows = events.map((e, log_offset) =>
    storedRow(
      { event: e, propertiesText: '' },
      { log_id, log_partition: 0, log_offset, batch_id: 7, owner: 0 },
    ),
  );
  await store.insert('records', COLUMNS, rows);
  // No record comes after them: whoever asks what was processed is told all the same.
  await processAll(log);
  const { offset, note } = await log.committed(0);
  assert.deepEqual([offset, JSON.parse(note).batch_id], [2, 7]);
  await log.append([record(event())]);
  await processAll(log);
  const became = (await rowsOf(log)).map((row) => `${row.log_offset} ${row.batch_id}`);
  assert.deepEqual(became, ['0 7', '1 7', '2 8']);
});

test('of a shared log, offsets that were given to other records after a loss are noticed', async () => {
  const log: Log = { ...newLog(), isExclusive: false };
  await log.append([record(event()), record(event())]);
  await processAll(log);
  // Its brokers have lost the last record and taken others since.
  const other = createMemoryLog({ clock: realClock, partitions: 1 });
  const [first] = await log.read(0, 0, { recordsMax: 1, bytesMax: 1, waitMs: 0 });
  assert.ok(first);
  await other.append([{ key: '', ...first }, record(event()), record(event())]);
  await other.commit(0, 2);
  const lossy: Log = { ...other, id: log.id, isExclusive: false };
  await assert.rejects(processAll(lossy), { code: 'log_corrupt', message: /another record/ });
  assert.equal((await rowsOf(log)).length, 2);
});

test('of a shared log, an open batch is waited for that a new leader does not give yet', async () => {
  const log: Log = { ...newLog(), isExclusive: false };
  await log.append([event(), event()].map(record));
  await log.commit(0, 0, JSON.stringify({ from: 0, to: 2, batch_id: 1 }));
  let isBehind = true;
  const elected: Log = {
    ...log,
    async read(partition, from, limits) {
      const records = await log.read(partition, from, limits);
      if (from === 1) isBehind = false;
      if (!isBehind) return from === 1 ? [] : records;
      return records.slice(0, 1);
    },
  };
  await processAll(elected);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored']);
});

test('of a shared log, what was processed may be deleted before the next owner looks at it', async () => {
  const log: Log = { ...newLog(), isExclusive: false };
  await log.append([record(event())]);
  await processAll(log);
  await log.append([record(event())]);
  const trimmed: Log = {
    ...log,
    async read(partition, from, limits) {
      if (from === 0) throw new AppError('log_gone', 'It was deleted.');
      return log.read(partition, from, limits);
    },
  };
  await processAll(trimmed);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored']);
});

test('of a shared log, what was deleted before it was processed is passed by', async () => {
  const log: Log = { ...newLog(), isExclusive: false };
  await log.append([event(), event(), event(), event()].map(record));
  // The batch that was open is gone as well.
  await log.commit(0, 0, JSON.stringify({ from: 0, to: 2, batch_id: 5 }));
  const kept = 3;
  const trimmed: Log = {
    ...log,
    async read(partition, from, limits) {
      if (from < kept) throw new AppError('log_gone', 'It was deleted.');
      return log.read(partition, from, limits);
    },
    offsetSince: async () => kept,
  };
  await processAll(trimmed);
  assert.deepEqual(outcomes(await rowsOf(log)), ['3 stored']);
});

test('the same id in another project, or after the window, is a new event', async () => {
  const log = newLog();
  const first = event();
  const late = { ...first, received_at: NOW_MS + 86_400_000 };
  await log.append([record(first), record({ ...first, project_id: 'other' }), record(late)]);
  await processAll(log);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored', '2 stored']);
});

test('a batch that is tried again is decided as the first time, with copies further apart than the window', async () => {
  const log = newLog();
  const [first, again] = [event(), event()];
  const at = (hours: number, e: Event) => record({ ...e, received_at: NOW_MS + hours * 3_600_000 });
  await log.append([at(0, first)]);
  await processAll(log);
  await log.append([at(1, first), at(1, again), at(2, again), at(25, first), at(26, again)]);
  await log.append([at(27, first), at(27, again)]);
  const records = createRecords(store);
  let tries = 0;
  const cut: Records = {
    ...records,
    async insert(at, rows) {
      tries += 1;
      if (tries < 3) throw new AppError('store_ambiguous', 'made for a test');
      await records.insert(at, rows);
    },
  };
  await processAll(log, { records: cut, batchRowsMax: 5 });
  assert.deepEqual(outcomes(await rowsOf(log)), [
    '0 stored',
    '1 duplicate',
    '2 stored',
    '3 duplicate',
    '4 stored',
    '5 stored',
    '6 duplicate',
    '7 duplicate',
  ]);
});

test('an open batch that the store has is not inserted again', async () => {
  const log = newLog();
  const events = [event(), event(), event()];
  await log.append(events.map(record));
  const log_id = await createRecords(store).registerLog(log.id);
  const rows = events.map((e, log_offset) =>
    storedRow(read(e), { log_id, log_partition: 0, log_offset, batch_id: 1, owner: 0 }),
  );
  await log.commit(0, 0, JSON.stringify({ from: 0, to: 3, batch_id: 1 }));
  await store.insert('records', COLUMNS, rows);
  await processAll(log);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored', '2 stored']);
});

test('of an open batch that the store has in part, only the missing rows are inserted', async () => {
  const log = newLog();
  const events = [event(), event(), event()];
  await log.append(events.map(record));
  const log_id = await createRecords(store).registerLog(log.id);
  const [, middle] = events;
  const place = { log_id, log_partition: 0, log_offset: 1, batch_id: 1, owner: 0 };
  await log.commit(0, 0, JSON.stringify({ from: 0, to: 3, batch_id: 1 }));
  await store.insert('records', COLUMNS, [storedRow(read(middle ?? event()), place)]);
  await processAll(log);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored', '2 stored']);
});

test('an open batch that never reached the store is inserted, under its own number', async () => {
  const log = newLog();
  await log.append([event(), event()].map(record));
  await log.commit(0, 0, JSON.stringify({ from: 0, to: 2, batch_id: 41 }));
  await processAll(log);
  await log.append([record(event())]);
  await processAll(log);
  assert.deepEqual(
    (await rowsOf(log)).map((row) => row.batch_id),
    [41, 41, 42],
  );
});

test('the number of a batch begins again before it no longer fits into its column', async () => {
  const log = newLog();
  await log.append([record(event())]);
  await log.commit(0, 1, JSON.stringify({ from: 0, to: 1, batch_id: 2_147_483_647 }));
  await log.append([record(event())]);
  await processAll(log);
  assert.deepEqual(
    (await rowsOf(log)).map((row) => [row.outcome, row.batch_id]),
    [['stored', 1]],
  );
});

test('a batch never crosses a month, so it is always one part', async () => {
  const log = newLog();
  const next = Date.UTC(2026, 11, 1);
  const times = [next - 2, next - 1, next, next + 1];
  await log.append(times.map((received_at) => record(event({ received_at }))));
  await processAll(log);
  assert.deepEqual(
    (await rowsOf(log)).map((row) => row.batch_id),
    [1, 1, 2, 2],
  );
});

test('a record that cannot be read is kept as unprocessable and the stream goes on', async () => {
  const log = newLog();
  const broken = ['not json', '{"v":9}', 'null', '{"v":1}', '{"v":1,"rejected":5}'];
  const records = broken.map((text) => ({ key: 'x', bytes: Buffer.from(text), timeMs: NOW_MS }));
  await log.append([record(event()), ...records, record(event())]);
  await processAll(log);
  const rows = await rowsOf(log);
  assert.equal(rows.length, broken.length + 2);
  assert.deepEqual(
    rows.filter((row) => row.outcome !== 'stored').map((row) => [row.reason, row.payload]),
    broken.map((text) => ['unprocessable', text]),
  );
});

test('a record that the store refuses is found among the others and kept as unprocessable', async () => {
  const log = newLog();
  const events = Array.from({ length: 20 }, () => event());
  const poison = { ...event(), item_price: 'not a number' };
  await log.append([...events.slice(0, 13), poison, ...events.slice(13)].map(record));
  await processAll(log);
  const rows = await rowsOf(log);
  assert.equal(rows.length, 21);
  assert.deepEqual(
    rows.filter((row) => row.outcome !== 'stored').map((row) => [row.log_offset, row.reason]),
    [[13, 'unprocessable']],
  );
});

test('an event that the store refused may come again, mended, and counts once', async () => {
  const log = newLog();
  const mended = event({ item_price: '1' });
  const poison = { ...mended, item_price: 'not a number' };
  // A batch for each, in one run of the processor.
  await log.append([poison, mended, mended].map(record));
  await processAll(log, { batchRowsMax: 1 });
  const became = ['0 rejected', '1 stored', '2 duplicate'];
  assert.deepEqual(outcomes(await rowsOf(log)), became);
});

test('a repeated event that the store does not take is kept, and its first copy not forgotten', async () => {
  const log = newLog();
  const first = event();
  await log.append([first, first, first].map(record));
  const records = createRecords(store);
  let isRefused = false;
  await processAll(log, {
    batchRowsMax: 1,
    records: {
      ...records,
      async insert(at, rows) {
        if (isRefused || !rows[0]?.startsWith('["duplicate"')) return records.insert(at, rows);
        isRefused = true;
        throw new AppError('store_refused', 'Not now.');
      },
    },
  });
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 rejected', '2 duplicate']);
});

test('a mended copy in the same batch as the event that the store refused counts', async () => {
  const log = newLog();
  const [mended, other] = [event({ item_price: '1' }), event()];
  const poison = { ...mended, item_price: 'not a number' };
  await log.append([other, poison, other, mended, mended, other].map(record));
  await processAll(log);
  const became = ['stored', 'rejected', 'duplicate', 'stored', 'duplicate', 'duplicate'];
  assert.deepEqual(
    outcomes(await rowsOf(log)),
    became.map((outcome, i) => `${i} ${outcome}`),
  );
});

test('of an open batch, a copy of an event that the store refused is decided anew', async () => {
  const log = newLog();
  const mended = event({ item_price: '1' });
  const poison = { ...mended, item_price: 'not a number' };
  await log.append([poison, mended, mended].map(record));
  const log_id = await createRecords(store).registerLog(log.id);
  const place = { log_id, log_partition: 0, log_offset: 0, batch_id: 1, owner: 0 };
  await log.commit(0, 0, JSON.stringify({ from: 0, to: 3, batch_id: 1 }));
  await store.insert('records', COLUMNS, [rejectedRow(unprocessable(Buffer.of(), NOW_MS), place)]);
  await processAll(log);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 rejected', '1 stored', '2 duplicate']);
});

test('a processor whose log is taken over by another ends, and adds nothing', async () => {
  const log = newLog();
  await log.append([event(), event()].map(record));
  const records = createRecords(store);
  const slow = Promise.withResolvers<void>();
  // It has taken the log, and another one comes before its first insert.
  const takenOver: Records = {
    ...records,
    async insert(at, rows) {
      slow.resolve();
      await records.takeOver(await records.registerLog(log.id), [0]);
      await records.insert(at, rows);
    },
  };
  const working = processAll(log, { records: takenOver });
  await slow.promise;
  await assert.rejects(working, { code: 'taken_over' });
  assert.deepEqual(await rowsOf(log), []);
  await processAll(log);
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored']);
});

test('of a shared log, an insert that was given up and begins when all is done is refused', async () => {
  const log: Log = { ...newLog(), isExclusive: false };
  await log.append([event(), event()].map(record));
  const records = createRecords(store);
  const late: (() => Promise<void>)[] = [];
  const losing: Records = {
    ...records,
    async insert(at, rows) {
      if (late.length > 0) return records.insert(at, rows);
      // On its way, and known to no server.
      late.push(() => records.insert(at, rows));
      throw new AppError('store_ambiguous', 'Cut off.');
    },
  };
  await processAll(log, { records: losing });
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored']);
  await assert.rejects(async () => late[0]?.(), { code: 'taken_over' });
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored']);
});

test('a partition of a shared log that another one took in the store is taken back', async () => {
  const log: Log = { ...newLog(), isExclusive: false };
  await log.append([event(), event()].map(record));
  const records = createRecords(store);
  let isFirst = true;
  const stolen: Records = {
    ...records,
    async insert(at, rows) {
      if (isFirst) await records.takeOver(at.logId, [at.partition]);
      isFirst = false;
      await records.insert(at, rows);
    },
  };
  await processAll(log, { records: stolen });
  assert.deepEqual(outcomes(await rowsOf(log)), ['0 stored', '1 stored']);
});

test('two logs that are registered at once get two numbers, and keep them', async () => {
  const records = createRecords(store);
  const names = Array.from({ length: 6 }, () => randomUUID());
  const numbers = await Promise.all(names.map((name) => records.registerLog(name)));
  assert.equal(new Set(numbers).size, names.length);
  const again = await Promise.all(names.map((name) => records.registerLog(name)));
  assert.deepEqual(again, numbers);
});

test('every field arrives in its column', async () => {
  const log = newLog();
  const full = event({
    sequence: 4294967295,
    sent_at: NOW_MS - 5,
    properties: { nested: { deep: [1, 'ü', null] } },
    url: 'https://shop.example/ü?a=b',
    quantity: -3,
    item_price: '99999999999999.9999',
    value: '-0.0001',
    items: [{ product_id: 'p', quantity: 2, item_price: '1.5' }, { master_category: 'Apparel' }],
    birthdate: '1900-01-01',
    bot: 'user_agent',
  });
  await log.append([record(full)]);
  await processAll(log);
  const [row] = await store.select<Record<string, unknown>>(
    'SELECT * FROM events WHERE event_id = {id:String}',
    { id: full.event_id },
  );
  assert.equal(row?.sequence, 4294967295);
  assert.equal(row?.sent_at, '2026-11-24 11:59:59.995');
  assert.equal(row?.properties, '{"nested":{"deep":[1,"ü",null]}}');
  assert.equal(row?.quantity, -3);
  assert.equal(row?.item_price, '99999999999999.9999');
  assert.equal(row?.value, '-0.0001');
  assert.equal(row?.birthdate, '1900-01-01');
  assert.deepEqual(row?.items, [
    { product_id: 'p', quantity: 2, item_price: '1.5', master_category: '', sub_category: '' },
    {
      product_id: '',
      quantity: null,
      item_price: null,
      master_category: 'Apparel',
      sub_category: '',
    },
  ]);
  assert.equal(row?.promo_amount, null);
});

test('an engine that is killed in the middle loses and doubles nothing', async () => {
  const log = newLog();
  const working = processAllWhileAppending(log);
  for (let i = 0; i < 3; i++) {
    await realClock.sleep(150);
    process.kill(engine.pid() ?? 0, 'SIGKILL');
  }
  const appended = await working;
  const rows = await rowsOf(log);
  assert.equal(rows.length, appended);
  assert.deepEqual(
    rows.map((row) => row.log_offset),
    Array.from({ length: appended }, (_, i) => i),
  );
});

async function processAllWhileAppending(log: Log): Promise<number> {
  let appended = 0;
  const appending = (async () => {
    for (let i = 0; i < 60; i++) {
      await log.append(Array.from({ length: 20 }, () => record(event())));
      appended += 20;
      await realClock.sleep(10);
    }
  })();
  await Promise.all([appending, processAll(log)]);
  await processAll(log);
  return appended;
}
