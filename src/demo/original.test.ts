/** The original's topic, filled by a synthetic shop: repeatable, of its shape, at its pace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEvent } from '../event/parse.ts';
import { type OriginalMessage, originalMessages, sendOriginal } from './original.ts';

const NOW = Date.UTC(2026, 5, 1, 12);
const DAY_MS = 86_400_000;
const LIVE = { seed: 3, events: 500, rate: 50, startMs: NOW, historyMs: 7 * DAY_MS };
const BACKDATED = { ...LIVE, rate: 0, events: 2_345 };

const textOf = ({ bytes }: OriginalMessage): string => Buffer.from(bytes).toString();
const eventOf = (message: OriginalMessage) => JSON.parse(textOf(message)) as Record<string, string>;

test('the same seed and times give the same messages, another seed others', () => {
  for (const options of [LIVE, BACKDATED]) {
    const once = [...originalMessages(options)];
    assert.deepEqual([...originalMessages(options)], once);
    assert.notDeepEqual([...originalMessages({ ...options, seed: 4 })], once);
  }
});

test('there are as many as asked for, each with an id of its own, keyed by name', () => {
  for (const options of [LIVE, BACKDATED, { ...BACKDATED, events: 1 }, { ...LIVE, events: 0 }]) {
    const messages = [...originalMessages(options)];
    assert.equal(messages.length, options.events);
    const events = messages.map(eventOf);
    assert.equal(new Set(events.map(({ event_id }) => event_id)).size, options.events);
    assert.deepEqual(
      messages.map(({ key }) => key),
      events.map(({ event_name }) => event_name),
    );
  }
});

test('live ones happen as they are sent, backdated ones within the days before', () => {
  const live = [...originalMessages(LIVE)];
  for (const [i, message] of live.entries()) {
    assert.equal(message.timeMs, NOW + i * 20);
    assert.equal(Date.parse(eventOf(message).event_time ?? ''), message.timeMs);
  }
  const times = [...originalMessages(BACKDATED)].map((message) =>
    Date.parse(eventOf(message).event_time ?? ''),
  );
  assert.ok(times.every((ms) => ms >= NOW - 7 * DAY_MS && ms < NOW));
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
});

test('every value is of the vocabulary, and every event is one that is taken', () => {
  const names = ['event_name', 'traffic_source', 'gender', 'payment_method', 'payment_status'];
  const seen = new Map(names.map((name) => [name, new Set<string>()]));
  for (const message of originalMessages({ ...LIVE, events: 5_000 })) {
    const event = eventOf(message);
    for (const name of names) if (event[name] !== undefined) seen.get(name)?.add(event[name]);
    const receipt = { project_id: 'shop', received_at: message.timeMs, escaped: false };
    assert.ok(!('reason' in parseEvent(event, receipt)), textOf(message));
  }
  const events = [
    'ADD_PROMO ADD_TO_CART BOOKING CLICK HOMEPAGE ITEM_DETAIL PROMO_PAGE SCROLL SEARCH',
  ];
  assert.deepEqual(
    names.map((name) => [...(seen.get(name) ?? [])].sort()),
    [
      events.flatMap((line) => line.split(' ')),
      ['MOBILE', 'WEB'],
      ['F', 'M'],
      ['Credit Card', 'Debit Card', 'Gopay', 'LinkAja', 'OVO'],
      ['Failed', 'Success'],
    ],
  );
});

/** Time passes only while it is slept, and while the topic takes what it is given. */
function clockOf() {
  let nowMs = 0;
  const pass = (ms: number): void => {
    nowMs += Math.max(0, ms);
  };
  return { pass, elapsed: () => nowMs, sleep: async (ms: number) => pass(ms) };
}

test('they are sent in batches at the pace asked for, which a slow topic does not change', async () => {
  const clock = clockOf();
  const batches: [atMs: number, messages: number][] = [];
  const told: number[] = [];
  await sendOriginal({
    ...{ messages: originalMessages({ ...LIVE, events: 23 }), clock, rate: 50 },
    async append(messages) {
      batches.push([clock.elapsed(), messages.length]);
      clock.pass(80);
    },
    onSent: (messages) => told.push(messages),
  });
  assert.deepEqual(batches, [
    [0, 5],
    [100, 5],
    [200, 5],
    [300, 5],
    [400, 3],
  ]);
  assert.deepEqual(told, [5, 10, 15, 20, 23]);
});

test('without a pace they go as fast as the topic takes them, a hundred at once', async () => {
  const clock = clockOf();
  const sizes: number[] = [];
  const arrived: OriginalMessage[] = [];
  const messages = [...originalMessages({ ...BACKDATED, events: 250 })];
  await sendOriginal({
    ...{ messages, clock, rate: 0, onSent: () => undefined },
    async append(batch) {
      sizes.push(batch.length);
      arrived.push(...batch);
    },
  });
  assert.deepEqual(sizes, [100, 100, 50]);
  assert.deepEqual(arrived, messages);
  assert.equal(clock.elapsed(), 0);
});
