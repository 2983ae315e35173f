/** When an event happened, whatever clock the device has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Draft } from '../../event/parse.ts';
import { EVENT_TIME_AHEAD_MS_MAX, EVENT_TIME_MS_MIN, TRANSIT_MS_MAX } from '../limits.ts';
import type { Arrival } from '../step.ts';
import { correctClock } from './correct-clock.ts';

const NOW = Date.UTC(2026, 5, 1, 12);
const MINUTE = 60_000;
const arrival = (sentAtMs?: number): Arrival => ({
  projectId: 'shop',
  receivedAtMs: NOW,
  sentAtMs,
  address: '',
  userAgent: '',
  fromPage: false,
});
const draft = (fields: Partial<Draft>): Draft => ({
  v: 1,
  project_id: 'shop',
  received_at: NOW,
  event_name: 'x',
  ...fields,
});

test('an event without a time happened when it was received', () => {
  const event = draft({});
  assert.equal(correctClock(arrival())(event), undefined);
  assert.equal(event.event_time, NOW);
  assert.equal(event.sent_at, undefined);
});

test('one offset moves all events of a batch, their distances stay', () => {
  const offByYears = Date.UTC(1999, 0, 1);
  const correct = correctClock(arrival(offByYears));
  const first = draft({ event_time: offByYears - 2 * MINUTE });
  const second = draft({ event_time: offByYears - MINUTE });
  assert.equal(correct(first) ?? correct(second), undefined);
  assert.equal(first.event_time, NOW - 2 * MINUTE);
  assert.equal(second.event_time, NOW - MINUTE);
  assert.equal(first.sent_at, offByYears);
});

test('a clock that is ahead is corrected, however little', () => {
  const event = draft({ event_time: NOW + 10, sent_at: NOW + 15 });
  correctClock(arrival())(event);
  assert.equal(event.event_time, NOW - 5);
});

test('what the network explains is left alone', () => {
  const slow = draft({ event_time: NOW - MINUTE });
  correctClock(arrival(NOW - TRANSIT_MS_MAX))(slow);
  assert.equal(slow.event_time, NOW - MINUTE);
  const behind = draft({ event_time: NOW - MINUTE });
  correctClock(arrival(NOW - TRANSIT_MS_MAX - 1))(behind);
  assert.equal(behind.event_time, NOW - MINUTE + TRANSIT_MS_MAX + 1);
});

test('an event’s own sent_at wins over that of the batch', () => {
  const event = draft({ event_time: NOW + MINUTE, sent_at: NOW + MINUTE });
  correctClock(arrival(NOW - 99 * MINUTE))(event);
  assert.equal(event.event_time, NOW);
  assert.equal(event.sent_at, NOW + MINUTE);
});

test('a time outside of what can be true is refused, after correction', () => {
  const refused = { reason: 'out_of_range', field: 'event_time' };
  const ahead = NOW + EVENT_TIME_AHEAD_MS_MAX;
  const at = (event_time: number) => correctClock(arrival())(draft({ event_time }));
  assert.equal(at(EVENT_TIME_MS_MIN), undefined);
  assert.deepEqual(at(EVENT_TIME_MS_MIN - 1), refused);
  assert.equal(at(ahead), undefined);
  assert.deepEqual(at(ahead + 1), refused);
  const corrected = draft({ event_time: ahead + 1 });
  assert.equal(correctClock(arrival(NOW + MINUTE))(corrected), undefined);
});
