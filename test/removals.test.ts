/**
 * Erasing and time limits: recorded first, then done, so that the sum closes whenever they are
 * interrupted, and what is gone stays gone.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { realClock } from '../src/base/clock.ts';
import { AppError } from '../src/base/errors.ts';
import { readConfig } from '../src/config.ts';
import type { Event } from '../src/event/event.ts';
import type { Log } from '../src/log/log.ts';
import { createMemoryLog } from '../src/log/memory.ts';
import { createPipeline } from '../src/process/pipeline/pipeline.ts';
import { createRecords } from '../src/process/records.ts';
import type { Selection } from '../src/process/upkeep/removals.ts';
import type { Store } from '../src/store/store.ts';
import {
  ALL,
  DAY_MS,
  event,
  HOUR_MS,
  killedAfter,
  NOW_MS,
  openStages,
  record,
  refused,
  type Stages,
} from './stages.ts';

let stages: Stages;
before(async () => {
  stages = await openStages();
});
after(() => stages.close());
beforeEach(() => stages.empty());

const outcomes = async (): Promise<string[]> =>
  (
    await stages.store.select<{ row: string }>(
      `SELECT concat(toString(log_offset), ' ', toString(outcome)) AS row FROM records
       ORDER BY log_id, log_offset`,
    )
  ).map(({ row }) => row);

const removed = async () =>
  (await stages.store.select<{ places: number }>('SELECT sum(rows) AS places FROM removals'))[0]
    ?.places;

async function assertCloses(log: Log): Promise<void> {
  const report = await stages.alone(log).audit(ALL, true);
  assert.deepEqual([report.closed, report.healed], [true, { missing: 0, doubled: 0 }]);
  const [sum] = await stages.store.select<{ rows: number; committed: number }>(
    `SELECT count() AS rows, {committed:UInt64} AS committed FROM records`,
    { committed: (await log.committed(0)).offset },
  );
  assert.equal((sum?.rows ?? 0) + ((await removed()) ?? 0), sum?.committed);
  const { store } = stages;
  const clock = { ...realClock, now: () => NOW_MS };
  const records = createRecords(store);
  const pipeline = createPipeline({ log, store, records, clock, lastAudit: () => undefined });
  const { closed, total } = await pipeline.answer();
  assert.deepEqual([closed, total.missing, total.removed], [true, 0, await removed()]);
}

const visitor = (value: string): Selection => ({ project: 'shop', by: 'visitor', value });

test('the events of a visitor go with their copies, those of others stay, and the sum closes', async () => {
  const log = await stages.openLog();
  const [mine, other] = [event({ visitor_id: 'me' }), event()];
  const elsewhere = event({ visitor_id: 'me', project_id: 'other' });
  await log.append([record(mine), record(other), record(mine), refused(mine), record(elsewhere)]);
  await stages.process(log);
  const dry = await stages.alone(log).erase(visitor('me'), true);
  assert.deepEqual([dry.rows, dry.removal_id, await removed()], [3, null, 0]);
  const receipt = await stages.alone(log).erase(visitor('me'), false);
  assert.match(receipt.removal_id ?? '', /^[0-9a-f-]{36}$/);
  const { rows, stored, duplicate, rejected } = receipt;
  assert.deepEqual([rows, stored, duplicate, rejected], [3, 1, 1, 1]);
  assert.deepEqual(await outcomes(), ['1 stored', '4 stored']);
  await assertCloses(log);
  const again = await stages.alone(log).erase(visitor('me'), false);
  assert.deepEqual([again.rows, again.removal_id], [0, null]);
});

test('two that erase the same events at once record each of them once', async () => {
  const log = await stages.openLog();
  await log.append([record(event({ visitor_id: 'me' })), record(event())]);
  await stages.process(log);
  let other: Promise<unknown> | undefined;
  const { store } = stages;
  const slow: Store = {
    ...store,
    async command(...of) {
      // What the other one records comes between the look at what is recorded and this record.
      if (of[0].startsWith('INSERT')) {
        other ??= stages
          .alone(log, { store: killedAfter(store, 1).store })
          .erase(visitor('me'), false);
        await assert.rejects(other);
      }
      await store.command(...of);
    },
  };
  const { rows } = await stages.alone(log, { store: slow }).erase(visitor('me'), false);
  assert.deepEqual([rows, await removed()], [1, 1]);
  assert.deepEqual(await outcomes(), ['1 stored']);
  await assertCloses(log);
});

test('events are chosen by customer, session or id, and by nothing that is empty', async () => {
  const log = await stages.openLog();
  const [a, b] = [event({ customer_id: 'c' }), event({ session_id: 'mine' })];
  const c = event();
  await log.append([record(a), record(b), record(c), refused(c), record(event())]);
  await stages.process(log);
  const erase = async (by: Selection['by'], value: string) =>
    (await stages.alone(log).erase({ project: 'shop', by, value }, false)).rows;
  assert.equal(await erase('customer', ''), 0);
  assert.equal(await erase('customer', 'c'), 1);
  assert.equal(await erase('session', 'mine'), 1);
  assert.equal(await erase('event_id', c.event_id), 2);
  assert.deepEqual(await outcomes(), ['4 stored']);
  await assertCloses(log);
});

test('what is kept of an erased event is a hash of its id and its place', async () => {
  const log = await stages.openLog();
  await log.append([record(event({ visitor_id: 'me', event_id: 'order-of-me' }))]);
  await stages.process(log);
  await stages.alone(log).erase(visitor('me'), false);
  const rows = await stages.store.select<{ id_hash: string }>('SELECT * FROM removals');
  assert.match(rows[0]?.id_hash ?? '', /^[0-9a-f]{64}$/);
  assert.doesNotMatch(JSON.stringify(rows), /order-of-me|"me"/);
});

test('a copy of an erased event is a duplicate, while it runs and after a restart, for the window', async () => {
  const log = await stages.openLog();
  const first = event({ visitor_id: 'me' });
  const at = (hours: number): Event => ({ ...first, received_at: NOW_MS + hours * HOUR_MS });
  await log.append([record(first)]);
  await stages.process(log);
  await stages.process(log, {}, async (_, upkeep) => {
    await upkeep.erase(visitor('me'), false);
    await log.append([record(at(1))]);
  });
  await stages.process(log, {}, async () => {
    await log.append([record(at(2)), record(at(25))]);
  });
  assert.deepEqual(await outcomes(), ['1 duplicate', '2 duplicate', '3 stored']);
  await assertCloses(log);
});

test('a copy of an erased event is a duplicate, also when the clock was wrong at the start', async () => {
  const log = await stages.openLog();
  const first = event({ visitor_id: 'me' });
  await log.append([record(first), record(event())]);
  await stages.process(log);
  await stages.alone(log).erase(visitor('me'), false);
  await stages.process(log, { nowMs: NOW_MS + 3 * DAY_MS }, async (processor) => {
    await processor.opened();
    // It has been put right.
    await log.append([record({ ...first, received_at: NOW_MS + HOUR_MS })]);
  });
  assert.deepEqual(await outcomes(), ['1 stored', '2 duplicate']);
});

test('a copy of an erased event is a duplicate, also when it was on its way since before the start', async () => {
  const log = await stages.openLog();
  const first = event({ visitor_id: 'me' });
  const startMs = NOW_MS + 30 * HOUR_MS;
  await log.append([record(first), record(event({ received_at: startMs }))]);
  await stages.process(log, { nowMs: startMs });
  await stages.alone(log).erase(visitor('me'), false);
  await stages.process(log, { nowMs: startMs }, async (processor) => {
    await processor.opened();
    // As a collector sends it on that had the log out of reach for ten hours.
    await log.append([record({ ...first, received_at: NOW_MS + 20 * HOUR_MS })]);
  });
  assert.deepEqual(await outcomes(), ['1 stored', '2 duplicate']);
  await assertCloses(log);
});

test('a refused event that was erased may still come again, mended', async () => {
  const log = await stages.openLog();
  const first = event();
  await log.append([refused(first)]);
  await stages.process(log);
  const selection: Selection = { project: 'shop', by: 'event_id', value: first.event_id };
  assert.equal((await stages.alone(log).erase(selection, false)).rows, 1);
  await log.append([record(first)]);
  await stages.process(log);
  assert.deepEqual(await outcomes(), ['1 stored']);
});

test('a missing record whose copy was erased is a duplicate when it is put back', async () => {
  const log = await stages.openLog();
  const first = event({ visitor_id: 'me' });
  await log.append([record(first), record({ ...first, visitor_id: 'me too' })]);
  await stages.process(log);
  await stages.store.command(
    'ALTER TABLE records DELETE WHERE log_offset = 1 SETTINGS mutations_sync = 1',
  );
  await stages.alone(log).erase(visitor('me'), false);
  assert.deepEqual((await stages.alone(log).audit(ALL, true)).healed, { missing: 1, doubled: 0 });
  assert.deepEqual(await outcomes(), ['1 duplicate']);
});

test('an erasure that is killed at any step is carried out by the next start, and counted once', async () => {
  for (let steps = 1; ; steps++) {
    await stages.empty();
    const log = await stages.openLog();
    const mine = event({ visitor_id: 'me' });
    await log.append([record(mine), record(event()), record(mine), record(event())]);
    await stages.process(log);
    const { store, isKilled } = killedAfter(stages.store, steps);
    const erasing = stages.alone(log, { store }).erase(visitor('me'), false);
    await erasing.catch((error: Error) => assert.match(error.message, /killed/));
    // What was recorded is removed, also while it is still there; a copy is a duplicate already.
    assert.equal((await stages.alone(log).audit(ALL, false)).closed, true);
    await stages.startAgain(log);
    await log.append([record(mine)]);
    await stages.process(log);
    assert.deepEqual(await outcomes(), ['1 stored', '3 stored', '4 duplicate']);
    assert.equal(await removed(), 2);
    await assertCloses(log);
    if (!isKilled()) return;
  }
});

test('what is recorded as erased and still there is not removed', async () => {
  const log = await stages.openLog();
  await log.append([record(event({ visitor_id: 'me' })), record(event())]);
  await stages.process(log);
  const killed = killedAfter(stages.store, 1);
  await assert.rejects(stages.alone(log, killed).erase(visitor('me'), false), /killed/);
  await stages.store.command(
    'ALTER TABLE records DELETE WHERE log_offset = 1 SETTINGS mutations_sync = 1',
  );
  const { partitions } = await stages.alone(log).audit(ALL, false);
  const sum = partitions.find((partition) => partition.in_log);
  assert.deepEqual([sum?.stored, sum?.removed, sum?.missing], [1, 0, 1]);
});

test('what was not processed yet is not erased', async () => {
  const log = await stages.openLog();
  await log.append([record(event({ visitor_id: 'me' }))]);
  await stages.process(log);
  await log.append([record(event({ visitor_id: 'me' }))]);
  const note = JSON.stringify({ from: 1, to: 2, batch_id: 7 });
  await log.commit(0, 1, note);
  // A batch that is open: its row is in the store, and not committed.
  await stages.store.command(
    `INSERT INTO records SELECT * REPLACE(1 AS log_offset) FROM records WHERE records.log_offset = 0`,
  );
  assert.deepEqual(await outcomes(), ['0 stored', '1 stored']);
  assert.equal((await stages.alone(log).erase(visitor('me'), false)).rows, 1);
  await stages.process(log);
  assert.deepEqual(await outcomes(), ['1 stored']);
  await assertCloses(log);
});

const KEEP = { keepMs: 18 * DAY_MS };

/** Two months of events: one in every five days up to now, the oldest first. */
async function appendMonths(log: Log): Promise<number> {
  const days = Array.from({ length: 13 }, (_, i) => 60 - i * 5);
  for (const ago of days)
    await log.append([
      record(event({ received_at: NOW_MS - ago * DAY_MS })),
      record(event({ received_at: NOW_MS - ago * DAY_MS, project_id: 'other' })),
    ]);
  return days.filter((ago) => ago > 18).length * 2;
}

test('what is older than the limit goes, whole months at once, and the sum closes', async () => {
  const log = await stages.openLog();
  const old = await appendMonths(log);
  await stages.process(log);
  const statements: string[] = [];
  const store: Store = {
    ...stages.store,
    command(sql, params) {
      statements.push(/DROP PARTITION|DELETE/.exec(sql)?.[0] ?? '');
      return stages.store.command(sql, params);
    },
  };
  await stages.startAgain(log, { ...KEEP, store });
  // September, October, and a part of November.
  assert.deepEqual(statements.filter(Boolean), ['DROP PARTITION', 'DROP PARTITION', 'DELETE']);
  assert.equal((await outcomes()).length, 26 - old);
  assert.equal(await removed(), old);
  await assertCloses(log);
  // Another day, and what came meanwhile stays.
  await log.append([record(event())]);
  await stages.process(log);
  await stages.startAgain(log, { ...KEEP, nowMs: NOW_MS + 5 * DAY_MS });
  assert.equal(await removed(), old + 2);
  await assertCloses(log);
});

test('a limit in the middle of a minute leaves the rest of it, and the sum closes', async () => {
  const log = await stages.openLog();
  const limitMs = NOW_MS - KEEP.keepMs + 30_000;
  for (const received_at of [limitMs - 1, limitMs, limitMs + 20_000])
    await log.append([record(event({ received_at }))]);
  await stages.process(log);
  await stages.startAgain(log, { ...KEEP, nowMs: NOW_MS + 30_000 });
  assert.deepEqual(await outcomes(), ['1 stored', '2 stored']);
  await assertCloses(log);
});

test('a time limit that is killed at any step is carried out by the next start, and counted once', async () => {
  for (let steps = 1; ; steps++) {
    await stages.empty();
    const log = await stages.openLog();
    const old = await appendMonths(log);
    await stages.process(log);
    const killed = killedAfter(stages.store, steps);
    await stages.startAgain(log, { ...KEEP, ...killed });
    assert.equal((await stages.alone(log).audit(ALL, false)).closed, true, `step ${steps}`);
    // Also when the limit has been taken away meanwhile.
    await stages.startAgain(log);
    await assertCloses(log);
    await stages.startAgain(log, KEEP);
    assert.equal(await removed(), old, `step ${steps}`);
    await assertCloses(log);
    if (!killed.isKilled()) return;
  }
});

test('a time limit is kept when the log answers again', async () => {
  const log = createMemoryLog({ clock: realClock, partitions: 1 });
  await log.append([record(event({ received_at: NOW_MS - 20 * DAY_MS })), record(event())]);
  await stages.process(log);
  let left = 1;
  const away: Log = {
    ...log,
    async committed(partition) {
      if (left-- > 0) throw new AppError('log_unreachable', 'It does not answer.');
      return log.committed(partition);
    },
  };
  await stages.startAgain(away, KEEP);
  assert.deepEqual(await outcomes(), ['1 stored']);
});

test('what a limit has recorded and not taken yet is not recorded once more by erasing it', async () => {
  const log = await stages.openLog();
  const received_at = NOW_MS - 20 * DAY_MS;
  await log.append([record(event({ visitor_id: 'me', received_at })), record(event())]);
  await stages.process(log);
  await stages.startAgain(log, { ...KEEP, ...killedAfter(stages.store, 1) });
  assert.deepEqual(await outcomes(), ['0 stored', '1 stored']);
  assert.equal((await stages.alone(log).erase(visitor('me'), false)).rows, 0);
  assert.deepEqual(await outcomes(), ['1 stored']);
  await assertCloses(log);
});

test('an old record that waited for long is counted when the limit takes it, and not before', async () => {
  const log = await stages.openLog();
  await appendMonths(log);
  await stages.process(log);
  await stages.startAgain(log, KEEP);
  const before = await removed();
  const ago = 60 * DAY_MS;
  await log.append([record(event({ received_at: NOW_MS - ago }))]);
  await stages.process(log);
  await assertCloses(log);
  await stages.startAgain(log);
  assert.equal(await removed(), before);
  await assertCloses(log);
  await stages.startAgain(log, KEEP);
  assert.equal(await removed(), (before ?? 0) + 1);
  await assertCloses(log);
});

test('a record that was lost before a limit took its time is missing, and not removed', async () => {
  const log = await stages.openLog(2);
  const old = Array.from({ length: 20 }, (_, i) =>
    event({ received_at: NOW_MS - 20 * DAY_MS + i }),
  );
  await log.append([...old, event()].map(record));
  await stages.process(log);
  // In one partition a part of what the limit takes in it, in the other all of it.
  for (const lost of ['log_partition = 0 AND log_offset = 1', 'log_partition = 1']) {
    const where = `received_at < toDateTime64(${(NOW_MS - DAY_MS) / 1000}, 3) AND ${lost}`;
    await stages.store.command(
      `ALTER TABLE records DELETE WHERE ${where} SETTINGS mutations_sync = 1`,
    );
  }
  await stages.startAgain(log, KEEP);
  const { closed, projects } = await stages.alone(log).audit(ALL, true);
  const [sum] = projects.filter(({ project_id }) => project_id === 'shop');
  assert.equal(closed, false);
  assert.equal(sum?.removed, await removed());
});

/** A store that answers nothing to the first record of a removal, which takes its time. */
function lateRecord(store: Store) {
  let recording: Promise<void> | undefined;
  const late: Store = {
    ...store,
    async command(sql, params) {
      if (recording !== undefined || !sql.includes('INSERT INTO removals'))
        return store.command(sql, params);
      const slow = sql.replace(/FROM records\s+WHERE/, '$& sleepEachRow(0.5) = 0 AND');
      recording = store.command(slow, params);
      throw new AppError('store_unreachable', 'It did not answer in time.');
    },
  };
  return { store: late, ended: () => recording };
}

test('a removal that is asked for again while it is being recorded is recorded once', async () => {
  for (const what of ['erase', 'expire'] as const) {
    await stages.empty();
    const log = await stages.openLog();
    const old = Array.from({ length: 3 }, () => {
      return event({ visitor_id: 'me', received_at: NOW_MS - 60 * DAY_MS });
    });
    await log.append([...old, event()].map(record));
    await stages.process(log);
    const { store, ended } = lateRecord(stages.store);
    if (what === 'expire') await stages.startAgain(log, { ...KEEP, store });
    else {
      await assert.rejects(stages.alone(log, { store }).erase(visitor('me'), false), /in time/);
      await stages.alone(log, { store }).erase(visitor('me'), false);
    }
    await ended();
    assert.equal(await removed(), 3, what);
    await assertCloses(log);
  }
});

test('healing brings nothing back that a time limit took', async () => {
  const log = await stages.openLog();
  await appendMonths(log);
  await stages.process(log);
  await stages.startAgain(log, KEEP);
  const before = await outcomes();
  const report = await stages.alone(log).audit(ALL, true);
  assert.deepEqual(report.healed, { missing: 0, doubled: 0 });
  assert.deepEqual(await outcomes(), before);
  assert.equal(report.partitions[0]?.removed, await removed());
});

test('nor what it would take without having recorded it', async () => {
  const log = await stages.openLog();
  const received_at = NOW_MS - 20 * DAY_MS;
  await log.append([record(event({ received_at, project_id: 'lost' })), record(event())]);
  await log.append([record(event({ received_at }))]);
  await stages.process(log);
  await stages.store.command(
    'ALTER TABLE records DELETE WHERE log_offset = 0 SETTINGS mutations_sync = 1',
  );
  await stages.startAgain(log, KEEP);
  const { closed, healed } = await stages.alone(log).audit(ALL, true);
  assert.deepEqual([closed, healed?.missing, await outcomes()], [false, 0, ['1 stored']]);
});

test('a limit shorter than the window or the log is refused', () => {
  const wrong = { code: 'bad_setting', field: 'CLICKSTREAM_KEEP_DAYS' };
  assert.throws(() => readConfig({ CLICKSTREAM_KEEP_DAYS: '1' }), {
    ...wrong,
    message: /more than CLICKSTREAM_LOG_KEEP_HOURS \(24 hours\)/,
  });
  const window = { CLICKSTREAM_KEEP_DAYS: '2', CLICKSTREAM_WINDOW_HOURS: '72' };
  assert.throws(() => readConfig(window), wrong);
  assert.equal(readConfig({ CLICKSTREAM_KEEP_DAYS: '2' }).CLICKSTREAM_KEEP_DAYS, 2);
  assert.equal(readConfig({ CLICKSTREAM_WINDOW_HOURS: '72' }).CLICKSTREAM_KEEP_DAYS, 0);
});
