/** Words and times of the charts that depend on the zone of the browser. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bucketTimes, bucketWords, formatAge, formatBytes, formatTick } from './format.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const zone = process.env.TZ;

before(() => {
  process.env.TZ = 'Europe/Berlin';
});
after(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

test('the hour that comes twice when clocks are set back is two buckets', () => {
  const hours = ['00', '01', '02', '02', '03'].map((hour) => `2026-10-25 ${hour}:00:00`);
  const first = Date.parse('2026-10-25T00:00:00+02:00');
  assert.deepEqual(
    bucketTimes(hours),
    [0, 1, 2, 3, 4].map((i) => first + i * HOUR_MS),
  );
  const quarters = ['02:30', '02:45', '02:00', '02:15'].map((time) => `2026-10-25 ${time}:00`);
  const half = Date.parse('2026-10-25T02:30:00+02:00');
  assert.deepEqual(
    bucketTimes(quarters),
    [0, 1, 2, 3].map((i) => half + (i * HOUR_MS) / 4),
  );
});

test('a step of an axis is named by its length, a long or short day is a day', () => {
  const lengths = [60_000, 900_000, HOUR_MS, 23 * HOUR_MS, 25 * HOUR_MS, 7 * DAY_MS, 30 * DAY_MS];
  assert.deepEqual(lengths.map(bucketWords), [
    'minute',
    '15 minutes',
    'hour',
    'day',
    'day',
    'week',
    'month',
  ]);
});

test('a mark of a time axis is the day at midnight, in the zone of the reader, else the time', () => {
  const midnight = new Date('2026-10-24T22:00:00Z');
  assert.match(formatTick(midnight, 7 * DAY_MS), /25/);
  assert.match(formatTick(new Date(midnight.getTime() + 9 * HOUR_MS), 7 * DAY_MS), /8:00/);
  assert.equal(formatTick(new Date('2025-12-31T23:00:00Z'), 365 * DAY_MS), '2026');
});

test('bytes and ages are told as long as they need to be', () => {
  assert.deepEqual([0, 999, 1_000, 3_449_000, 12_300_000, 5e12].map(formatBytes), [
    '0 byte',
    '999 byte',
    '1 kB',
    '3.4 MB',
    '12 MB',
    '5,000 GB',
  ]);
  assert.deepEqual([0, 119_000, 120_000, 25 * 60_000, 2 * HOUR_MS, 2 * DAY_MS].map(formatAge), [
    '0 s',
    '119 s',
    '2 min',
    '25 min',
    '2 h',
    '48 h',
  ]);
});
