/** The audit names what is missing or there twice, and healing ends with one row at every place. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { realClock } from '../src/base/clock.ts';
import { AppError } from '../src/base/errors.ts';
import type { Log } from '../src/log/log.ts';
import { createMemoryLog } from '../src/log/memory.ts';
import { createRecords } from '../src/process/records.ts';
import type { AuditReport } from '../src/process/upkeep/audit-report.ts';
import type { Store } from '../src/store/store.ts';
import {
  ALL,
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

interface Row {
  outcome: string;
  event_id: string;
  log_partition: number;
  log_offset: number;
  batch_id: number;
  reason: string;
}

async function rowsOf(log: Log): Promise<Row[]> {
  const log_id = await createRecords(stages.store).registerLog(log.id);
  return stages.store.select<Row>(
    `SELECT outcome, event_id, log_partition, log_offset, batch_id, reason FROM records
     WHERE log_id = {log_id:UInt32} ORDER BY log_partition, log_offset, batch_id`,
    { log_id },
  );
}

const outcomes = async (log: Log): Promise<string[]> =>
  (await rowsOf(log)).map((row) => `${row.log_offset} ${row.outcome}`);

const lose = (where: string) =>
  stages.store.command(`ALTER TABLE records DELETE WHERE ${where} SETTINGS mutations_sync = 1`);

/** The rows once more, as they are. */
const double = (where: string, batchId = 'batch_id') =>
  stages.store.command(
    `INSERT INTO records SELECT * REPLACE(${batchId} AS batch_id,
       joinGet('owners', 'owner', toUInt64(log_id) * 65536 + log_partition) AS owner)
     FROM records WHERE ${where}`,
  );

const offsets = (report: AuditReport, which: 'missing' | 'doubled') =>
  report[which].named.map((place) => place.log_offset);

test('what was processed closes, by partition and by project', async () => {
  const log = await stages.openLog(2);
  const first = event();
  await log.append([
    ...Array.from({ length: 40 }, () => record(event())),
    record(first),
    record(first),
    refused(event({ project_id: 'other' })),
  ]);
  await stages.process(log);
  const report = await stages.alone(log).audit(ALL, false);
  assert.equal(report.closed, true);
  assert.deepEqual(
    report.projects.map((p) => [p.project_id, p.accepted, p.stored, p.duplicate, p.rejected]),
    [
      ['other', 1, 0, 0, 1],
      ['shop', 42, 41, 1, 0],
    ],
  );
  assert.equal(
    report.partitions.reduce((sum, p) => sum + p.accepted, 0),
    43,
  );
});

test('a record that has no row is named with its place and project, and put back as it was', async () => {
  const log = await stages.openLog();
  await log.append(Array.from({ length: 30 }, () => record(event())));
  await stages.process(log);
  const all = "log_offset IN (3, 17) AND outcome = 'stored'";
  const before = await stages.store.select(
    `SELECT * EXCEPT (batch_id, owner) FROM records ORDER BY log_offset`,
  );
  await lose(all);
  const report = await stages.alone(log).audit(ALL, false);
  assert.equal(report.closed, false);
  assert.deepEqual(report.missing, {
    named: [3, 17].map((log_offset) => ({
      log_id: 1,
      log_partition: 0,
      log_offset,
      project_id: 'shop',
    })),
    more: 0,
  });
  assert.equal(report.partitions[0]?.missing, 2);
  const healed = await stages.alone(log).audit(ALL, true);
  assert.deepEqual([healed.closed, healed.healed], [true, { missing: 2, doubled: 0 }]);
  const after = await stages.store.select(
    `SELECT * EXCEPT (batch_id, owner) FROM records ORDER BY log_offset`,
  );
  assert.deepEqual(after, before);
  assert.deepEqual(
    (await rowsOf(log)).filter((row) => row.batch_id === 0).map((row) => row.log_offset),
    [3, 17],
  );
});

test('of many that are missing, the first are named and the others counted', async () => {
  const log = await stages.openLog();
  for (let i = 0; i < 20; i++)
    await log.append(Array.from({ length: 1_000 }, () => record(event())));
  await stages.process(log);
  await lose('log_offset % 2 = 1');
  const report = await stages.alone(log).audit(ALL, false);
  assert.deepEqual([report.missing.named.length, report.missing.more], [100, 9_900]);
  assert.equal((await stages.alone(log).audit(ALL, true)).closed, true);
  assert.equal((await rowsOf(log)).length, 20_000);
});

test('a missing record of which a copy was stored since is a duplicate of that', async () => {
  const log = await stages.openLog();
  const first = event();
  await log.append([record(first), record(event())]);
  await stages.process(log);
  await lose('log_offset = 0');
  await log.append([record({ ...first, received_at: NOW_MS + HOUR_MS })]);
  await stages.process(log);
  assert.equal((await stages.alone(log).audit(ALL, true)).closed, true);
  assert.deepEqual(await outcomes(log), ['0 duplicate', '1 stored', '2 stored']);
});

test('of two missing copies the first is stored, and one outside the window is an event of its own', async () => {
  const log = await stages.openLog();
  const first = event();
  const later = { ...first, received_at: NOW_MS + 24 * HOUR_MS };
  await log.append([record(first), record(first), record(later)]);
  await stages.process(log);
  await lose('log_offset < 2');
  assert.equal((await stages.alone(log).audit(ALL, true)).closed, true);
  assert.deepEqual(await outcomes(log), ['0 stored', '1 duplicate', '2 stored']);
});

test('missing records that were refused, cannot be read, or are refused by the store are kept so', async () => {
  const log = await stages.openLog();
  const broken = { key: 'x', bytes: Buffer.from('not json'), timeMs: NOW_MS };
  const poison = { ...event(), item_price: 'not a number' };
  await log.append([refused(event()), broken, record(poison), record(event())]);
  await stages.process(log);
  const before = (await rowsOf(log)).map((row) => [row.outcome, row.reason]);
  await lose('1');
  const report = await stages.alone(log).audit(ALL, true);
  assert.equal(report.closed, true);
  assert.deepEqual(
    (await rowsOf(log)).map((row) => [row.outcome, row.reason]),
    before,
  );
});

test('a place with several rows is named and keeps one of them, the one that counts', async () => {
  const log = await stages.openLog();
  const first = event();
  await log.append([record(first), record(event()), record(event())]);
  await stages.process(log);
  await double('log_offset = 1');
  await stages.store.command(
    `INSERT INTO records SELECT * REPLACE('duplicate' AS outcome) FROM records WHERE log_offset = 0`,
  );
  const report = await stages.alone(log).audit(ALL, false);
  assert.deepEqual(offsets(report, 'doubled'), [0, 1]);
  assert.equal(report.partitions[0]?.doubled, 2);
  assert.equal(report.closed, false);
  const healed = await stages.alone(log).audit(ALL, true);
  assert.deepEqual([healed.closed, healed.healed], [true, { missing: 0, doubled: 2 }]);
  assert.deepEqual(await outcomes(log), ['0 stored', '1 stored', '2 stored']);
});

test('two that heal one place at once leave one row there', async () => {
  const log = await stages.openLog();
  await log.append([record(event()), record(event())]);
  await stages.process(log);
  await double('log_offset = 1');
  const { store } = stages;
  const copied = Promise.withResolvers<void>();
  const deleted = Promise.withResolvers<void>();
  const second: Store = {
    ...store,
    async select<Row>(...[sql, params]: Parameters<Store['select']>) {
      if (/^SELECT uniqExact\(log_offset\) AS places FROM records/.test(sql)) {
        copied.resolve();
        await deleted.promise;
      }
      return store.select<Row>(sql, params);
    },
  };
  let healing: Promise<AuditReport> | undefined;
  const first: Store = {
    ...store,
    async command(...of) {
      // The other one has made its copy, and has deleted nothing yet.
      if (of[0].includes('DELETE')) {
        healing ??= stages.alone(log, { store: second }).audit(ALL, true);
        await copied.promise;
      }
      await store.command(...of);
    },
  };
  await stages.alone(log, { store: first }).audit(ALL, true);
  deleted.resolve();
  assert.equal((await healing)?.closed, true);
  assert.deepEqual(await outcomes(log), ['0 stored', '1 stored']);
});

test('healing that is killed at any step and done again ends with one row at every place', async () => {
  for (let steps = 1; ; steps++) {
    await stages.empty();
    const log = await stages.openLog();
    const late = event({ received_at: Date.UTC(2026, 11, 1) });
    const poison = { ...event(), item_price: 'not a number' };
    await log.append([event(), event(), event(), poison, event(), late, event()].map(record));
    await stages.process(log);
    await double('log_offset IN (1, 5)');
    await double('log_offset = 1', '-1');
    await lose('log_offset IN (2, 3, 6)');
    const { store, isKilled } = killedAfter(stages.store, steps);
    const healing = stages.alone(log, { store }).audit(ALL, true);
    await healing.catch((error: Error) => assert.match(error.message, /killed/));
    const there = await stages.store.select<{ places: number }>(
      "SELECT uniqExact(log_offset) AS places FROM records WHERE outcome = 'stored'",
    );
    assert.ok((there[0]?.places ?? 0) >= 4, `nothing is lost at step ${steps}`);
    const report = await stages.alone(log).audit(ALL, true);
    assert.equal(report.closed, true, `step ${steps}: ${JSON.stringify(report)}`);
    const became = (await outcomes(log)).join();
    assert.equal(became, '0 stored,1 stored,2 stored,3 rejected,4 stored,5 stored,6 stored');
    if (!isKilled()) {
      assert.ok(steps > 5, `it has ${steps} steps`);
      return;
    }
  }
});

test('records above the committed offset are the processor’s and not missing', async () => {
  const log = await stages.openLog();
  await log.append([record(event())]);
  await stages.process(log);
  await log.append([record(event())]);
  const report = await stages.alone(log).audit(ALL, true);
  assert.equal(report.closed, true);
  assert.equal(report.partitions.find((p) => p.in_log)?.accepted, 1);
});

test('a range of time takes the records that were appended in it', async () => {
  const log = await stages.openLog();
  const at = (hours: number) => record(event({ received_at: NOW_MS + hours * HOUR_MS }));
  for (let hour = 0; hour < 10; hour++) await log.append([at(hour)]);
  await stages.process(log);
  await lose('log_offset IN (1, 5)');
  const range = { fromMs: NOW_MS + 2 * HOUR_MS, toMs: NOW_MS + 7 * HOUR_MS };
  const report = await stages.alone(log).audit(range, true);
  assert.deepEqual(
    report.partitions.map(({ from, to, accepted }) => [from, to, accepted]),
    [[2, 8, 6]],
  );
  assert.deepEqual([report.from, report.closed], ['2026-11-24T14:00:00.000Z', true]);
  assert.deepEqual(offsets(await stages.alone(log).audit(ALL, false), 'missing'), [1]);
});

test('a gap below what the log keeps, and one of another log, is named and cannot be put back', async () => {
  const other = await stages.openLog();
  await other.append([event(), event(), event()].map(record));
  await stages.process(other);
  const log = createMemoryLog({ partitions: 1, bytesMax: 4_000 });
  for (let i = 0; i < 30; i++) {
    await log.append([record(event())]);
    await stages.process(log);
  }
  const kept = await log.offsetSince(0, Number.NEGATIVE_INFINITY);
  assert.ok(kept > 2 && kept < 29);
  await lose(`log_id = 1 AND log_offset = 1 OR log_id = 2 AND log_offset IN (1, 29)`);
  const report = await stages.alone(log).audit(ALL, true);
  assert.deepEqual(
    report.missing.named.map((place) => [place.log_id, place.log_offset]),
    [
      [1, 1],
      [2, 1],
    ],
  );
  assert.deepEqual(report.healed, { missing: 1, doubled: 0 });
  assert.equal(report.closed, false);
});

test('an event id that is stored twice within the window is named, and not healed', async () => {
  const log = await stages.openLog();
  const first = event();
  const again = { ...first, received_at: NOW_MS + HOUR_MS };
  const nextDay = { ...first, received_at: NOW_MS + 26 * HOUR_MS };
  await log.append([record(first), record(again), record(nextDay)]);
  await stages.process(log, { windowMs: 60_000 });
  const report = await stages.alone(log).audit(ALL, true);
  assert.deepEqual(report.repeated, {
    named: [{ project_id: 'shop', event_id: first.event_id, copies: 3 }],
    more: 0,
  });
  assert.equal(report.closed, false);
  const narrow = await stages.alone(log, { windowMs: 60_000 }).audit(ALL, false);
  assert.deepEqual([narrow.closed, narrow.repeated.named], [true, []]);
});

test('a batch whose places lie among those of another one is named', async () => {
  const log = await stages.openLog();
  await log.append([record(event())]);
  await stages.process(log);
  await log.append([record(event())]);
  await stages.process(log);
  assert.equal((await stages.alone(log).audit(ALL, false)).closed, true);
  // As if the one who wrote the second place had written the fourth as well, in the same batch.
  await log.append([record(event())]);
  await stages.process(log);
  await stages.store.command(
    `INSERT INTO records SELECT * REPLACE(3 AS log_offset, 'copy' AS event_id,
       (SELECT argMax(owner, log_offset) FROM records) AS owner)
     FROM (SELECT * FROM records WHERE log_offset = 1)`,
  );
  const { closed, interleaved, partitions } = await stages.alone(log).audit(ALL, false);
  const log_id = partitions[0]?.log_id;
  assert.deepEqual(interleaved, {
    named: [{ log_id, log_partition: 0, batch_id: 3, from: 2, to: 3 }],
    more: 0,
  });
  assert.equal(closed, false);
});

test('healing between two batches, while events come in, teaches the window what it put back', async () => {
  const log = await stages.openLog();
  const first = event();
  await log.append([record(first)]);
  await stages.process(log);
  await lose('1');
  // By now the window of the next processor cannot know it.
  await stages.process(log, {}, async (processor, upkeep) => {
    let isHealed = false;
    const appending = (async () => {
      while (!isHealed) {
        await log.append(Array.from({ length: 50 }, () => record(event())));
        await realClock.sleep(1);
      }
    })();
    const report = await upkeep.audit(ALL, true);
    isHealed = true;
    await appending;
    assert.deepEqual([report.closed, report.healed?.missing], [true, 1]);
    assert.deepEqual(upkeep.lastAudit(), report);
    await log.append([record(first)]);
    assert.ok(processor.batches() > 0);
  });
  const rows = await rowsOf(log);
  assert.equal(rows[0]?.outcome, 'stored');
  assert.equal(rows.at(-1)?.outcome, 'duplicate');
  assert.equal((await stages.alone(log).audit(ALL, false)).closed, true);
});

test('a copy of what was put back is a duplicate, also when the INSERT had no answer', async () => {
  const log = await stages.openLog();
  const first = event();
  await log.append([record(first)]);
  await stages.process(log);
  await lose('1');
  let isCut = false;
  const store: Store = {
    ...stages.store,
    async insert(table, ...rest) {
      await stages.store.insert(table, ...rest);
      if (table !== 'records' || isCut) return;
      isCut = true;
      throw new AppError('store_ambiguous', 'The connection was cut.');
    },
  };
  await stages.process(log, { store }, async (_, upkeep) => {
    await assert.rejects(upkeep.audit(ALL, true), { code: 'store_ambiguous' });
    assert.deepEqual((await upkeep.audit(ALL, true)).healed, { missing: 0, doubled: 0 });
    await log.append([record(first)]);
  });
  assert.deepEqual(await outcomes(log), ['0 stored', '1 duplicate']);
});

test('what the log drops between two looks of the audit is compared by places', async () => {
  const log = createMemoryLog({ clock: realClock, partitions: 1 });
  await log.append([0, 1, 2, 3].map(() => record(event())));
  await stages.process(log);
  await lose('log_offset = 1');
  let looks = 0;
  const dropping: Log = {
    ...log,
    offsetSince: async (partition, timeMs) => {
      const isFirst = looks++ === 0;
      return isFirst ? 0 : Math.max(2, await log.offsetSince(partition, timeMs));
    },
    async read(partition, from, limits) {
      if (from < 2) throw new AppError('log_gone', 'The log has dropped it.');
      return log.read(partition, from, limits);
    },
  };
  const report = await stages.alone(dropping).audit(ALL, false);
  assert.equal(report.closed, false);
  assert.deepEqual(offsets(report, 'missing'), [1]);
});
