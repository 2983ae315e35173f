/**
 * The sum of the pipeline on a real engine: it closes whatever became of the records, and says
 * where when a row is missing or doubled.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { type Clock, realClock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import { createLogger } from '../../base/logger.ts';
import { createMetrics } from '../../base/metrics.ts';
import { type Engine, startEngine } from '../../engine/start.ts';
import type { Event } from '../../event/event.ts';
import { encodeRecord, recordKey } from '../../event/wire.ts';
import { realDisk } from '../../log/disk.ts';
import { openFileLog } from '../../log/file.ts';
import type { Log, NewRecord } from '../../log/log.ts';
import { createMemoryLog } from '../../log/memory.ts';
import { createClickHouseStore } from '../../store/clickhouse.ts';
import type { Store } from '../../store/store.ts';
import { createProcessor } from '../process.ts';
import { createRecords } from '../records.ts';
import type { Counts, PipelineAnswer } from './answer.ts';
import { keepLag } from './lag.ts';
import { createPipeline, type Pipeline } from './pipeline.ts';
import { MINUTE_MS } from './tally.ts';

const logger = createLogger('silent');
/** In the middle of a minute. */
const NOW_MS = Date.UTC(2026, 10, 24, 12, 0, 30);
const clock: Clock = { ...realClock, now: () => NOW_MS };
let folder: string;
let engine: Engine;
let store: Store;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clickstream-pipeline-'));
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

beforeEach(async () => {
  for (const table of ['records', 'removals', 'logs', 'owners', 'spark_progress', 'lag'])
    await store.command(`TRUNCATE TABLE ${table}`);
});

after(async () => {
  await store.close();
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

function record(more: Partial<Event> = {}): NewRecord {
  const event: Event = {
    v: 1,
    project_id: 'shop',
    event_id: randomUUID(),
    session_id: 's',
    visitor_id: 'v',
    event_time: NOW_MS,
    received_at: NOW_MS,
    event_name: 'CLICK',
    ...more,
  };
  const bytes = encodeRecord({ event });
  return { key: recordKey(event.project_id, event.event_id), bytes, timeMs: event.received_at };
}

function refused(project_id: string, reason: 'missing' | 'bad_format', field: string): NewRecord {
  const received_at = NOW_MS;
  const event_id = randomUUID();
  const rejected = { project_id, event_id, reason, field, received_at, payload: '{}' };
  return {
    key: recordKey(project_id, event_id),
    bytes: encodeRecord({ rejected }),
    timeMs: received_at,
  };
}

const undecodable = (text: string): NewRecord => ({
  key: randomUUID(),
  bytes: Buffer.from(text),
  timeMs: NOW_MS,
});

const newLog = (partitions = 1): Log => createMemoryLog({ clock, partitions });

/** As a process would after its start: nothing is known from before. */
const newPipeline = (log: Log): Pipeline =>
  createPipeline({ log, store, records: createRecords(store), clock, lastAudit });
const answer = (log: Log, project?: string): Promise<PipelineAnswer> =>
  newPipeline(log).answer(project);

async function processAll(log: Log): Promise<void> {
  const ended = new AbortController();
  const processor = createProcessor({
    log,
    records: createRecords(store),
    clock,
    logger,
    metrics: createMetrics(),
    batchRowsMax: 1_000,
    batchBytesMax: 1_000_000,
    batchIntervalMs: 1,
    window: { windowMs: 86_400_000, idsMax: 1_000, bytesMax: 50_000 },
  });
  const running = processor.run(ended.signal);
  const isWaiting = async () => (await log.stats()).oldestWaitingMs.some((ms) => ms !== undefined);
  while (await isWaiting()) await Promise.race([realClock.sleep(2), running]);
  ended.abort();
  await running;
}

const NONE: Counts = {
  accepted: 0,
  stored: 0,
  duplicate: 0,
  rejected: 0,
  removed: 0,
  waiting: 0,
  missing: 0,
};

function counts(found: Counts | undefined): Counts {
  const picked = { ...NONE };
  for (const name of Object.keys(NONE) as (keyof Counts)[]) picked[name] = found?.[name] ?? -1;
  return picked;
}

const minuteAt = (found: PipelineAnswer, timeMs: number): Counts =>
  counts(found.minutes.find(({ time }) => time === Math.floor(timeMs / MINUTE_MS) * MINUTE_MS));

function assertSums(found: PipelineAnswer): void {
  for (const c of [found.total, ...found.projects, ...found.minutes]) {
    const sum = c.stored + c.duplicate + c.rejected + c.removed + c.waiting + c.missing;
    assert.equal(c.accepted, sum, JSON.stringify(c));
  }
}

const lastAudit = (): undefined => undefined;

test('the sum closes by project and minute, whatever became of the records', async () => {
  const log = newLog();
  const first = record({ received_at: NOW_MS - MINUTE_MS });
  await log.append([
    first,
    record({ received_at: NOW_MS - 59 * MINUTE_MS }),
    record({ received_at: NOW_MS - 60 * MINUTE_MS }),
    record({ received_at: NOW_MS - 86_400_000 }),
    { ...first, bytes: first.bytes },
    record({ project_id: 'blog' }),
    // The store refuses it by itself.
    record({ project_id: 'blog', item_price: 'not a number' }),
    refused('shop', 'missing', 'event_name'),
    refused('shop', 'missing', 'event_name'),
    refused('blog', 'bad_format', 'quantity'),
    undecodable('not json'),
    undecodable('{"v":9,"project_id":"shop"}'),
    undecodable('{"v":1,"project_id":"blog","event_id":'),
  ]);
  await processAll(log);
  await log.append([record(), record({ project_id: 'new' })]);
  const all = await answer(log);
  assertSums(all);
  assert.equal(all.closed, true);
  assert.deepEqual(all.total, {
    ...{ accepted: 15, stored: 5, duplicate: 1, rejected: 7, removed: 0, waiting: 2, missing: 0 },
  });
  assert.deepEqual(
    all.projects.map(({ project_id, ...rest }) => [project_id, counts(rest)]),
    [
      ['shop', { ...NONE, accepted: 9, stored: 4, duplicate: 1, rejected: 3, waiting: 1 }],
      ['blog', { ...NONE, accepted: 4, stored: 1, rejected: 3 }],
      ['', { ...NONE, accepted: 1, rejected: 1 }],
      ['new', { ...NONE, accepted: 1, waiting: 1 }],
    ],
  );
  const shop = await answer(log, 'shop');
  assertSums(shop);
  assert.equal(shop.minutes.length, 60);
  assert.deepEqual(minuteAt(shop, NOW_MS), { ...NONE, accepted: 4, rejected: 3, waiting: 1 });
  const before = { ...NONE, accepted: 2, stored: 1, duplicate: 1 };
  assert.deepEqual(minuteAt(shop, NOW_MS - MINUTE_MS), before);
  assert.deepEqual(counts(shop.minutes[0]), { ...NONE, accepted: 1, stored: 1 });
  // What is older than the 60 minutes is in the total.
  assert.equal(shop.total.stored, 4);
  assert.deepEqual(shop.rejected, [
    { project_id: 'shop', reason: 'missing', field: 'event_name', last_hour: 2, events: 2 },
    { project_id: 'shop', reason: 'unprocessable', field: '', last_hour: 1, events: 1 },
  ]);
  assert.deepEqual((await answer(log, 'nobody')).total, NONE);
});

test('records that wait are counted while no processor runs, in each partition', async () => {
  const log = newLog(2);
  await log.append(Array.from({ length: 50 }, () => record()));
  await processAll(log);
  const later = Array.from({ length: 30 }, () => record({ received_at: NOW_MS - 5_000 }));
  await log.append(later);
  const found = await answer(log);
  assertSums(found);
  assert.equal(found.closed, true);
  assert.deepEqual(counts(found.total), { ...NONE, accepted: 80, stored: 50, waiting: 30 });
  const { ends, committed } = await log.stats();
  assert.deepEqual(
    found.partitions,
    [0, 1].map((log_partition) => ({
      log_id: 1,
      log_partition,
      accepted: ends[log_partition],
      committed: committed[log_partition],
      waiting: (ends[log_partition] ?? 0) - (committed[log_partition] ?? 0),
      missing: 0,
      behind_ms: 5_000,
    })),
  );
  assert.equal(found.stored_until, new Date(NOW_MS - 5_000).toISOString());
});

test('rows of a batch whose offset is not committed yet wait, and are not counted twice', async () => {
  const log = newLog();
  await log.append([record(), record(), record()]);
  await processAll(log);
  // The log as it was before the commit: the rows are there already.
  const { ends, ...stats } = await log.stats();
  const behind: Log = { ...log, stats: async () => ({ ...stats, ends, committed: [1] }) };
  const found = await answer(behind);
  assert.equal(found.closed, true);
  assert.deepEqual(counts(found.total), { ...NONE, accepted: 3, stored: 1, waiting: 2 });
});

test('the sum is the same after a restart, and goes on', async () => {
  const path = await mkdtemp(join(tmpdir(), 'clickstream-pipeline-log-'));
  const open = (): Promise<Log> =>
    openFileLog({
      folder: path,
      partitions: 2,
      segmentBytes: 256 * 1024,
      keepMs: 3_600_000,
      keepBytes: 1024 ** 2,
      keepAlwaysMs: 3_600_000,
      bytesInFlightMax: 1024 ** 2,
      disk: realDisk,
      clock,
      logger,
      onFatal: (error) => assert.fail(error),
    });
  const log = await open();
  const first = record();
  await log.append([first, record(), refused('shop', 'missing', 'event_name')]);
  await processAll(log);
  await log.append([first, record({ project_id: 'blog' })]);
  const { took_ms: _, ...before } = await answer(log);
  await log.close();
  const again = await open();
  const { took_ms: __, ...after } = await answer(again);
  assert.deepEqual(after, before);
  await processAll(again);
  const done = await answer(again);
  const stored = { ...NONE, accepted: 5, stored: 3, duplicate: 1, rejected: 1 };
  assert.deepEqual([done.closed, counts(done.total)], [true, stored]);
  await again.close();
  await rm(path, { recursive: true });
});

test('an earlier log has its part, and only what the store has seen of it', async () => {
  const [one, two] = [newLog(), newLog(2)];
  const first = record();
  await one.append([first, record(), record({ project_id: 'blog' })]);
  await processAll(one);
  await two.append([first, record()]);
  await processAll(two);
  await two.append([record()]);
  const found = await answer(two);
  assertSums(found);
  assert.equal(found.closed, true);
  const total = { ...NONE, accepted: 6, stored: 4, duplicate: 1, waiting: 1 };
  assert.deepEqual(counts(found.total), total);
  assert.deepEqual(minuteAt(found, NOW_MS), total);
  assert.deepEqual(
    found.partitions.map(({ log_id, log_partition }) => [log_id, log_partition]),
    [
      [2, 0],
      [2, 1],
      [1, 0],
    ],
  );
  await store.command(
    'ALTER TABLE records DELETE WHERE log_id = 1 AND log_offset = 1 SETTINGS mutations_sync = 1',
  );
  const less = await answer(two);
  assert.deepEqual([less.closed, less.partitions[2]?.missing, less.total.missing], [false, 1, 1]);
});

const REMOVALS =
  'INSERT INTO removals (removal_id, kind, project_id, log_id, log_partition, log_offset, received_at, rows, expired_before)';

test('what was removed on purpose is removed, from when it is recorded on', async () => {
  const log = newLog();
  const old = NOW_MS - 86_400_000;
  await log.append([
    ...Array.from({ length: 10 }, () => record()),
    ...Array.from({ length: 5 }, () => record({ received_at: old })),
  ]);
  await processAll(log);
  await store.command(
    `${REMOVALS} SELECT generateUUIDv4(), 'erased', project_id, log_id, log_partition, log_offset, received_at, 1, 0
     FROM records WHERE log_offset IN (2, 3, 7)`,
  );
  await store.command(
    `${REMOVALS} SELECT generateUUIDv4(), 'expired', project_id, log_id, log_partition, max(log_offset), toStartOfMinute(received_at), count() AS rows,
       max(records.received_at) + 1
     FROM records WHERE log_offset >= 10 GROUP BY ALL`,
  );
  // Recorded, and still there.
  const recorded = await answer(log);
  assertSums(recorded);
  assert.equal(recorded.closed, true);
  assert.deepEqual(counts(recorded.total), { ...NONE, accepted: 15, stored: 15 });
  // A part of it is carried out, then all of it.
  for (const [where, removed, removedNow] of [
    ['log_offset IN (3, 10, 11)', 3, 1],
    ['log_offset IN (2, 7) OR log_offset >= 10', 8, 3],
  ] as const) {
    await store.command(`ALTER TABLE records DELETE WHERE ${where} SETTINGS mutations_sync = 1`);
    const found = await answer(log);
    assertSums(found);
    assert.equal(found.closed, true);
    const total = { ...NONE, accepted: 15, stored: 15 - removed, removed };
    assert.deepEqual(counts(found.total), total);
    assert.deepEqual(counts(found.projects[0]), total);
    const now = { ...NONE, accepted: 10, stored: 10 - removedNow, removed: removedNow };
    assert.deepEqual(minuteAt(found, NOW_MS), now);
  }
});

test('a removal that is recorded while the store is asked does not open the sum', async () => {
  const log = newLog();
  await log.append([record(), record()]);
  await processAll(log);
  let isFirst = true;
  const busy: Store = {
    ...store,
    async select(sql, ...rest) {
      const rows = await store.select<never>(sql, ...rest);
      if (isFirst && /FROM records WHERE/.test(sql)) {
        isFirst = false;
        await store.command(
          `${REMOVALS} SELECT generateUUIDv4(), 'erased', project_id, log_id, log_partition, log_offset, received_at, 1, 0
           FROM records WHERE log_offset = 0`,
        );
      }
      return rows;
    },
  };
  const pipeline = createPipeline({
    log,
    store: busy,
    records: createRecords(store),
    clock,
    lastAudit,
  });
  const found = await pipeline.answer();
  assert.equal(isFirst, false);
  assert.deepEqual(
    [found.closed, counts(found.total)],
    [true, { ...NONE, accepted: 2, stored: 2 }],
  );
});

test('an earlier log of which a time limit took all rows is removed, not missing', async () => {
  const [one, two] = [newLog(), newLog()];
  const old = NOW_MS - 86_400_000;
  await one.append([record({ received_at: old }), record({ received_at: old + MINUTE_MS })]);
  await processAll(one);
  await store.command(
    `${REMOVALS} SELECT generateUUIDv4(), 'expired', project_id, log_id, log_partition, max(log_offset), toStartOfMinute(received_at), count() AS rows,
       max(records.received_at) + 1
     FROM records GROUP BY ALL`,
  );
  await store.command('TRUNCATE TABLE records');
  const found = await answer(two);
  assert.equal(found.closed, true);
  assert.deepEqual(counts(found.total), { ...NONE, accepted: 2, removed: 2 });
});

test('a row that is missing, or there twice, is shown where it belongs', async () => {
  const log = newLog(2);
  await log.append([
    ...Array.from({ length: 20 }, () => record()),
    ...Array.from({ length: 20 }, () =>
      record({ project_id: 'blog', received_at: NOW_MS - 3 * MINUTE_MS }),
    ),
  ]);
  await processAll(log);
  const [lost] = await store.select<{ log_partition: number; log_offset: number }>(
    "SELECT log_partition, log_offset FROM records WHERE project_id = 'blog' LIMIT 1",
  );
  assert.ok(lost !== undefined);
  const place = `log_partition = ${lost.log_partition} AND log_offset = ${lost.log_offset}`;
  await store.command(`ALTER TABLE records DELETE WHERE ${place} SETTINGS mutations_sync = 1`);
  const less = await answer(log);
  assertSums(less);
  assert.equal(less.closed, false);
  assert.deepEqual(counts(less.total), { ...NONE, accepted: 40, stored: 39, missing: 1 });
  assert.deepEqual(
    less.partitions.map(({ missing }) => missing),
    [0, 1].map((partition) => (partition === lost.log_partition ? 1 : 0)),
  );
  const missingOf = (found: PipelineAnswer) =>
    Object.fromEntries(found.projects.map((project) => [project.project_id, project.missing]));
  assert.deepEqual(missingOf(less), { shop: 0, blog: 1 });
  assert.equal(minuteAt(less, NOW_MS - 3 * MINUTE_MS).missing, 1);
  assert.equal(minuteAt(less, NOW_MS).missing, 0);

  // And one of the other project twice: together they are as many as they should be.
  await store.command(
    "INSERT INTO records SELECT * FROM records WHERE project_id = 'shop' ORDER BY log_offset LIMIT 1",
  );
  const both = await answer(log);
  assertSums(both);
  assert.equal(both.closed, false);
  assert.equal(both.total.missing, 0);
  assert.deepEqual(missingOf(both), { shop: -1, blog: 1 });
  assert.equal(minuteAt(both, NOW_MS - 3 * MINUTE_MS).missing, 1);
  assert.equal(minuteAt(both, NOW_MS).missing, -1);
  assert.equal((await answer(log, 'shop')).closed, false);
});

test('a row that is missing since before the last hour is in its partition and in the total', async () => {
  const log = newLog();
  await log.append([record({ received_at: NOW_MS - 3 * 3_600_000 }), record()]);
  await processAll(log);
  await store.command(
    'ALTER TABLE records DELETE WHERE log_offset = 0 SETTINGS mutations_sync = 1',
  );
  const found = await answer(log);
  assertSums(found);
  assert.equal(found.closed, false);
  assert.deepEqual(counts(found.total), { ...NONE, accepted: 2, stored: 1, missing: 1 });
  assert.equal(found.partitions[0]?.missing, 1);
});

test('the store is asked once, however many ask, and again when the answer is old', async () => {
  const log = newLog();
  await log.append([record()]);
  let asked = 0;
  let elapsedMs = 0;
  const counting: Store = {
    ...store,
    select(sql, ...rest) {
      if (/FROM records WHERE .* GROUP BY log_id/s.test(sql)) asked++;
      return store.select(sql, ...rest);
    },
  };
  const records = createRecords(store);
  const still = { ...clock, elapsed: () => elapsedMs };
  const pipeline = createPipeline({ log, store: counting, records, clock: still, lastAudit });
  const answers = await Promise.all([1, 2, 3].map(() => pipeline.answer()));
  assert.deepEqual(new Set(answers.map(({ total }) => total.waiting)), new Set([1]));
  await processAll(log);
  elapsedMs += 1_999;
  assert.equal((await pipeline.answer()).total.waiting, 1);
  assert.equal(asked, 1);
  elapsedMs += 1;
  assert.equal((await pipeline.answer('shop')).total.stored, 1);
  assert.equal(asked, 2);
});

test('a store that does not answer is an error, and not a sum that closes', async () => {
  const log = newLog();
  let isDown = true;
  const failing: Store = {
    ...store,
    select: (sql, ...rest) =>
      store.select(isDown && /FROM records/.test(sql) ? 'SELECT no_such_column' : sql, ...rest),
  };
  const pipeline = createPipeline({
    log,
    store: failing,
    records: createRecords(store),
    clock,
    lastAudit,
  });
  await assert.rejects(pipeline.answer(), { code: 'store_refused' });
  isDown = false;
  assert.equal((await pipeline.answer()).closed, true);
});

test('what a Spark job writes of itself is told as long as it is new, and then when it was seen', async () => {
  // The store deletes by its own clock what is older than a day.
  const nowMs = Math.floor(Date.now() / 60_000) * 60_000;
  const log = newLog();
  const records = createRecords(store);
  const sparkNow = async () => {
    const clockNow = { ...realClock, now: () => nowMs };
    const parts = { log, store, records, clock: clockNow, lastAudit };
    return (await createPipeline(parts).answer()).spark;
  };
  assert.equal(await sparkNow(), null);
  const logId = await records.registerLog(log.id);
  const write = (agoMs: number, of: number, batch: number, batch_ms: number, lag: number) =>
    store.command(
      `INSERT INTO spark_progress VALUES (fromUnixTimestamp64Milli(${nowMs - agoMs}), ${of}, ${batch}, 900, 450.5, 1200, ${batch_ms}, 90, ${lag}, 2)`,
    );
  await write(0, logId + 1, 99, 1, 1);
  assert.equal(await sparkNow(), null, 'another log is none of this one');

  await write(11 * 60_000, logId, 1, 5_000, 500);
  const since = new Date(nowMs - 11 * 60_000).toISOString();
  assert.deepEqual(await sparkNow(), { seen_at: since, now: null, recent: [] });

  await write(25_000, logId, 5, 700, 30);
  await write(24_000, logId, 6, 900, 20);
  await write(4_000, logId, 7, 800, 12);
  const rest = { rows: 900, input_rate: 450.5, process_rate: 1_200, insert_ms: 90, executors: 2 };
  assert.deepEqual(await sparkNow(), {
    seen_at: new Date(nowMs - 4_000).toISOString(),
    now: { batch: 7, batch_ms: 800, lag: 12, ...rest },
    recent: [
      { time: nowMs - 30_000, batch_ms: 900, lag: 30 },
      { time: nowMs - 10_000, batch_ms: 800, lag: 12 },
    ],
  });
});

test('a sum that takes long to count does not make the numbers of a Spark job old', async () => {
  const log = newLog();
  const records = createRecords(store);
  const logId = await records.registerLog(log.id);
  let elapsedMs = 0;
  const slow: Store = {
    ...store,
    select(sql, parameters) {
      if (sql.includes('FROM records')) elapsedMs += 10_000;
      return store.select(sql, parameters);
    },
  };
  const parts = { log, store: slow, records, lastAudit };
  const pipeline = createPipeline({ ...parts, clock: { ...realClock, elapsed: () => elapsedMs } });
  const { took_ms } = await pipeline.answer();
  await store.command(
    `INSERT INTO spark_progress VALUES (now64(3), ${logId}, 7, 900, 450.5, 1200, 800, 90, 12, 2)`,
  );
  elapsedMs += 3_000;
  const later = await pipeline.answer();
  assert.equal(later.spark?.now?.batch, 7);
  assert.equal(later.took_ms, took_ms, 'the sum is the one from before');
  assert.equal(elapsedMs, took_ms + 3_000);
});

test('what waits and its age are written down, and nothing of a time in which the log is away', async () => {
  const log = newLog(2);
  await log.append([record({ received_at: NOW_MS - 4_500 }), record(), record()]);
  const ended = new AbortController();
  let turns = 0;
  const turn = {
    ...clock,
    async sleep() {
      if (++turns === 1) await processAll(log);
      if (turns === 3) ended.abort();
    },
  };
  const stats = async () => {
    if (turns === 1) throw new AppError('log_unreachable', 'The log does not answer.');
    return log.stats();
  };
  const records = createRecords(store);
  const away = { ...log, stats };
  await keepLag({ log: away, store, records, clock: turn, logger, signal: ended.signal });
  assert.deepEqual(
    await store.select('SELECT accepted, waiting, behind_seconds FROM lag ORDER BY waiting DESC'),
    [
      { accepted: 3, waiting: 3, behind_seconds: 4.5 },
      { accepted: 3, waiting: 0, behind_seconds: 0 },
    ],
  );
});
