/** What is on the log, counted from it: by project and minute, as it grows, waits and is forgotten. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, realClock } from '../../base/clock.ts';
import type { Log, NewRecord } from '../../log/log.ts';
import { createMemoryLog } from '../../log/memory.ts';
import { type Counted, createTally, MINUTE_MS } from './tally.ts';

const NOON = Date.UTC(2026, 10, 24, 12);

/** A clock that stands still until it is moved. */
function stoppedClock(): Clock & { move(ms: number): void } {
  let nowMs = NOON;
  return {
    ...realClock,
    now: () => nowMs,
    move(ms) {
      nowMs += ms;
    },
  };
}

let made = 0;
function record(project: string, timeMs: number): NewRecord {
  made++;
  const bytes = Buffer.from(`{"v":1,"project_id":"${project}","event_id":"e-${made}"}`);
  return { key: `${project}\0e-${made}`, bytes, timeMs };
}
const many = (count: number, project: string, timeMs: number): NewRecord[] =>
  Array.from({ length: count }, () => record(project, timeMs));

async function commitAll(log: Log): Promise<void> {
  for (const [partition, end] of (await log.stats()).ends.entries())
    await log.commit(partition, end);
}

/** `project minute accepted done`, the minute as so many before noon's. */
function linesOf({ minutes }: Counted): string[] {
  const lines = [...minutes].flatMap(([project, byMinute]) =>
    [...byMinute].map(
      ([time, { accepted, done }]) => `${project} ${(time - NOON) / MINUTE_MS} ${accepted} ${done}`,
    ),
  );
  return lines.sort();
}

test('records are counted by project and minute, those that wait and those that are done', async () => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 2, clock });
  const tally = createTally(log, clock);
  await log.append([...many(3, 'shop', NOON - 1), ...many(2, 'blog', NOON + 1)]);
  await commitAll(log);
  await log.append([...many(4, 'shop', NOON + 59_999), record('blog', NOON)]);
  const counted = await tally.count();
  assert.deepEqual(linesOf(counted), ['blog 0 3 2', 'shop -1 3 3', 'shop 0 4 0']);
  assert.deepEqual([...counted.waiting].sort(), [
    ['blog', 1],
    ['shop', 4],
  ]);
  await commitAll(log);
  const done = await tally.count();
  assert.deepEqual(linesOf(done), ['blog 0 3 3', 'shop -1 3 3', 'shop 0 4 4']);
  assert.deepEqual([...done.waiting.values()], [0, 0]);
});

test('a tally that begins anew says the same as one that has followed all along', async () => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 2, clock });
  const tally = createTally(log, clock);
  for (let i = 0; i < 20; i++) {
    await log.append(many(7, i % 3 === 0 ? 'shop' : 'blog', NOON + i * 10_000));
    if (i % 4 === 0) await commitAll(log);
    if (i % 5 === 0) await tally.count();
  }
  const anew = createTally(log, clock);
  assert.deepEqual(linesOf(await tally.count()), linesOf(await anew.count()));
  assert.deepEqual((await tally.count()).waiting, (await anew.count()).waiting);
});

test('what is older than the last 60 minutes leaves the minutes, and still waits', async () => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 1, clock });
  const tally = createTally(log, clock);
  await log.append([record('shop', NOON), record('shop', NOON + MINUTE_MS)]);
  assert.equal((await tally.count()).minutes.get('shop')?.size, 2);
  clock.move(60 * MINUTE_MS);
  const counted = await tally.count();
  assert.deepEqual(linesOf(counted), ['shop 1 1 0']);
  assert.equal(counted.waiting.get('shop'), 2);
  assert.deepEqual(counted.behindMs, [60 * MINUTE_MS]);
  assert.equal(counted.storedUntilMs, NOON);
});

test('minutes that come back when the clock is set back are whole', async () => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 1, clock });
  const tally = createTally(log, clock);
  await log.append(many(3, 'shop', NOON));
  clock.move(61 * MINUTE_MS);
  await log.append(many(2, 'shop', clock.now()));
  assert.deepEqual(linesOf(await tally.count()), ['shop 61 2 0']);
  clock.move(-5 * MINUTE_MS);
  await commitAll(log);
  const back = await tally.count();
  assert.deepEqual(linesOf(back), linesOf(await createTally(log, clock).count()));
  const accepted = back.minutes.get('shop')?.get(clock.now() + 5 * MINUTE_MS)?.accepted;
  assert.equal(accepted, 2);
});

test('a tally that nobody asked for more than an hour begins an hour ago', async () => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 1, clock });
  const tally = createTally(log, clock);
  await log.append(many(5, 'shop', NOON));
  await tally.count();
  clock.move(3 * 60 * MINUTE_MS);
  const nowMs = clock.now();
  await log.append([...many(5, 'shop', nowMs - 90 * MINUTE_MS), ...many(2, 'blog', nowMs)]);
  await commitAll(log);
  const counted = await tally.count();
  assert.deepEqual(counted.from, [10]);
  assert.deepEqual(linesOf(counted), ['blog 180 2 2']);
  assert.equal(counted.waiting.get('shop'), undefined);
});

test('what retention takes before it was read is no fault', async () => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 1, bytesMax: 4_000, clock });
  const tally = createTally(log, clock);
  await log.append(many(20, 'shop', NOON));
  await tally.count();
  for (let i = 0; i < 10; i++) {
    await commitAll(log);
    await log.append(many(20, 'shop', NOON + 1));
  }
  await assert.rejects(log.read(0, 20, { recordsMax: 1, bytesMax: 1, waitMs: 0 }), {
    code: 'log_gone',
  });
  const counted = await tally.count();
  assert.equal(counted.waiting.get('shop'), 20);
  assert.equal(counted.minutes.get('shop')?.get(NOON)?.accepted, 220 - (counted.from[0] ?? 0));
});

test('what retention takes while it reads is no fault either', async () => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 1, bytesMax: 4_000, clock });
  await log.append(many(20, 'shop', NOON));
  let isFirst = true;
  const forgetful: Log = {
    ...log,
    async read(...asked) {
      for (let i = 0; isFirst && i < 5; i++) {
        await commitAll(log);
        await log.append(many(20, 'shop', NOON));
      }
      isFirst = false;
      return log.read(...asked);
    },
  };
  const { ends, from, waiting } = await createTally(forgetful, clock).count();
  assert.deepEqual(ends, [120]);
  assert.ok((from[0] ?? 0) > 20);
  assert.equal(waiting.get('shop'), 20);
});

test('a million records that wait are counted while others have their turn', async (t) => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 1, bytesMax: 512 * 1024 * 1024, clock });
  const piece = many(50_000, 'shop', NOON);
  for (let i = 0; i < 20; i++) await log.append(piece);
  let reads = 0;
  let recordsAtOnce = 0;
  const watched: Log = {
    ...log,
    async read(...asked) {
      const records = await log.read(...asked);
      reads++;
      recordsAtOnce = Math.max(recordsAtOnce, records.length);
      return records;
    },
  };
  const tally = createTally(watched, clock);
  let turns = 0;
  let isCounting = true;
  const others = (async () => {
    for (; isCounting; turns++) await nextTurn();
  })();
  const startedMs = performance.now();
  const counted = await tally.count();
  t.diagnostic(`${Math.round(performance.now() - startedMs)} ms`);
  isCounting = false;
  await others;
  assert.equal(counted.waiting.get('shop'), 1_000_000);
  // In small pieces, and after each of them whoever waits gets on.
  assert.ok(recordsAtOnce <= 2_000, `${recordsAtOnce} at once`);
  assert.ok(turns >= reads, `${turns} turns in ${reads} reads`);
  // Asked again, it reads only what is new.
  reads = 0;
  await log.append([record('shop', NOON)]);
  assert.equal((await tally.count()).waiting.get('shop'), 1_000_001);
  assert.equal(reads, 1);
});

test('what is stored when it is first seen is read once', async () => {
  const clock = stoppedClock();
  const log = createMemoryLog({ partitions: 1, clock });
  await log.append(many(5_000, 'shop', NOON));
  await commitAll(log);
  let records = 0;
  const watched: Log = {
    ...log,
    async read(...asked) {
      const read = await log.read(...asked);
      records += read.length;
      return read;
    },
  };
  assert.equal(
    (await createTally(watched, clock).count()).minutes.get('shop')?.get(NOON)?.done,
    5_000,
  );
  assert.equal(records, 5_000);
});
