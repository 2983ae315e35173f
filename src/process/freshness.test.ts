/** How fresh the store is told to be, with what waits on the log and on the spool before it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { LogStats, Spooled } from '../log/log.ts';
import { createFreshness } from './freshness.ts';

const NOW_MS = 1_700_000_000_000;
const clock = { ...realClock, now: () => NOW_MS };
const STATS: LogStats = {
  ...{ ends: [], committed: [], oldestWaitingMs: [undefined], bytesOnDisk: 0, isFull: false },
};

function spooledSince(oldestMs: number | undefined): Spooled {
  const records = oldestMs === undefined ? 0 : 1;
  return { records, bytes: records, oldestMs, isLogAnswering: true, refusal: undefined };
}

test('the store is as fresh as the oldest record that waits, on the log or on the spool', async () => {
  for (const [waitingMs, oldestMs, expected] of [
    [undefined, undefined, NOW_MS],
    [NOW_MS - 10, undefined, NOW_MS - 10],
    [undefined, NOW_MS - 20, NOW_MS - 20],
    [NOW_MS - 10, NOW_MS - 20, NOW_MS - 20],
    [NOW_MS - 30, NOW_MS - 20, NOW_MS - 30],
  ] as const) {
    const log = { stats: async () => ({ ...STATS, oldestWaitingMs: [waitingMs] }) };
    const freshness = createFreshness(log, clock, () => spooledSince(oldestMs));
    assert.equal(await freshness.storedUntilMs(), expected);
  }
});

test('what leaves the spool while the log is asked is not overlooked', async () => {
  let oldestMs: number | undefined = NOW_MS - 20;
  const log = {
    stats: async () => {
      oldestMs = undefined;
      return STATS;
    },
  };
  const freshness = createFreshness(log, clock, () => spooledSince(oldestMs));
  assert.equal(await freshness.storedUntilMs(), NOW_MS - 20);
});

test('while the log does not answer the store gets no fresher, and an older spool counts', async () => {
  let isAway = false;
  let oldestMs: number | undefined;
  const log = {
    stats: async () => {
      if (isAway) throw new AppError('log_unreachable', 'It is away.');
      return { ...STATS, oldestWaitingMs: [NOW_MS - 10] };
    },
  };
  const freshness = createFreshness(log, clock, () => spooledSince(oldestMs));
  assert.equal(await freshness.storedUntilMs(), NOW_MS - 10);
  isAway = true;
  assert.equal(await freshness.storedUntilMs(), NOW_MS - 10);
  oldestMs = NOW_MS - 15;
  assert.equal(await freshness.storedUntilMs(), NOW_MS - 15);
});
