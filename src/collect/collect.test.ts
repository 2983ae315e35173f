/** One request on a real log in memory: what is accepted, what is refused, and where both lie. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { realClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { createMetrics } from '../base/metrics.ts';
import type { Event } from '../event/event.ts';
import { EVENT_LIMITS, parseEvent } from '../event/parse.ts';
import { PAYLOAD_BYTES_MAX, REASONS } from '../event/rejection.ts';
import { decodeRecord } from '../event/wire.ts';
import type { Log } from '../log/log.ts';
import { createMemoryLog } from '../log/memory.ts';
import { createCollector, type Sender } from './collect.ts';
import { BODY_LIMITS } from './limits.ts';
import { openSteps } from './steps.ts';

const NOW = Date.UTC(2026, 5, 1, 12);
const clock = { ...realClock, now: () => NOW };
const dataFolder = mkdtempSync(join(tmpdir(), 'clickstream-collect-'));
after(() => rmSync(dataFolder, { recursive: true }));
const steps = openSteps({ clock, dataFolder });
const SENDER: Sender = {
  projectId: 'shop',
  address: '203.0.113.9',
  userAgent: '',
  fromPage: false,
};

function setUp(log: Log = createMemoryLog({ partitions: 1 })) {
  const metrics = createMetrics();
  const collect = createCollector({ log, steps, clock, metrics, limits: BODY_LIMITS });
  return {
    metrics,
    send: (body: unknown) =>
      collect(
        Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
        undefined,
        SENDER,
      ),
    async records() {
      const limits = { recordsMax: 10_000, bytesMax: 1e9, waitMs: 0 };
      return (await log.read(0, 0, limits)).map(({ bytes }) => decodeRecord(bytes));
    },
  };
}

test('accepts what is on the log, and answers for each event that is not', async () => {
  const { send, records } = setUp();
  const answer = await send({
    sent_at: NOW,
    events: [
      { event_name: 'a', event_id: '1', event_time: NOW - 5 },
      { event_name: 'b', event_id: '2', title: {} },
      { event_name: 'c' },
    ],
  });
  assert.deepEqual(answer, {
    accepted: 2,
    rejected: [{ index: 1, reason: 'wrong_type', field: 'title' }],
    without_id: 1,
  });
  const [a, b, c] = await records();
  assert.ok(a && 'event' in a && b && 'rejected' in b && c && 'event' in c);
  assert.equal(a.event.event_id, '1');
  assert.equal(a.event.event_time, NOW - 5);
  assert.equal(a.event.sent_at, NOW);
  assert.deepEqual(b.rejected, {
    project_id: 'shop',
    event_id: '2',
    received_at: NOW,
    reason: 'wrong_type',
    field: 'title',
    payload: '{"event_name":"b","event_id":"2","title":{}}',
  });
  assert.match(c.event.event_id, /^[0-9a-f-]{36}$/);
  assert.equal(c.event.event_time, NOW);
});

test('an event larger than is taken is refused: too_large', async () => {
  const { send, records } = setUp();
  const text = 'ä'.repeat(EVENT_LIMITS.bytesMax / 2);
  const { rejected } = await send([
    { event_name: 'x', text },
    { event_name: 'y', event_id: '1' },
  ]);
  assert.deepEqual(rejected, [{ index: 0, reason: 'too_large', field: '' }]);
  const [large] = await records();
  assert.ok(large && 'rejected' in large);
  assert.ok(Buffer.byteLength(large.rejected.payload) <= PAYLOAD_BYTES_MAX);
  assert.ok(Buffer.byteLength(large.rejected.payload) > PAYLOAD_BYTES_MAX - 4);
  assert.ok(!large.rejected.payload.includes('\ufffd'), 'no character is cut in two');
});

test('a line that is not JSON is refused by itself: not_json', async () => {
  const { send, records } = setUp();
  const answer = await send('{"event_name":"a"}\n{"event_name":\n{"event_name":"b"}\n');
  assert.equal(answer.accepted, 2);
  assert.deepEqual(answer.rejected, [{ index: 1, reason: 'not_json', field: '' }]);
  const bad = (await records())[1];
  assert.ok(bad && 'rejected' in bad);
  assert.equal(bad.rejected.payload, '{"event_name":');
});

test('an event nested too deep to be written again keeps its outer levels', async () => {
  const { send, records } = setUp();
  const nested = `{"event_name":"x","a":${'['.repeat(9_000)}${']'.repeat(9_000)}}`;
  const { rejected } = await send(`[${nested},{"event_name":"y"}]`);
  assert.deepEqual(rejected, [{ index: 0, reason: 'too_deep', field: 'properties' }]);
  const [deep] = await records();
  assert.ok(deep && 'rejected' in deep);
  assert.match(deep.rejected.payload, /^\{"event_name":"x","a":\[\[/);
});

test('a time that the clock’s correction moves out of range is refused with its batch’s others kept', async () => {
  const { send } = setUp();
  const answer = await send({
    sent_at: NOW + 60_000,
    events: [
      { event_name: 'a', event_time: '1999-12-31' },
      { event_name: 'b', event_time: NOW + 60_000 },
    ],
  });
  assert.equal(answer.accepted, 1);
  assert.deepEqual(answer.rejected, [{ index: 0, reason: 'out_of_range', field: 'event_time' }]);
});

test('a batch whose sent_at is no time is refused as a whole', async () => {
  const { send, records } = setUp();
  const events = [{ event_name: 'a' }];
  await assert.rejects(send({ sent_at: 'soon', events }), {
    code: 'bad_request',
    field: 'sent_at',
  });
  assert.deepEqual(await records(), []);
  assert.equal((await send({ sent_at: null, events })).accepted, 1);
});

test('nothing is answered as accepted when the log does not take it', async () => {
  const log = createMemoryLog({ partitions: 1 });
  const full = new AppError('log_full', 'full', { retryAfterS: 1 });
  const { send, metrics } = setUp({ ...log, append: () => Promise.reject(full) });
  await assert.rejects(send({ event_name: 'a' }), full);
  assert.match(await metrics.text(), /clickstream_events_accepted_total 0/);
});

test('counts what was accepted, and what was refused by reason', async () => {
  const { send, metrics } = setUp();
  await send([{ event_name: 'a' }, {}, 1, {}]);
  const text = await metrics.text();
  assert.match(text, /clickstream_events_accepted_total 1\n/);
  assert.match(text, /clickstream_events_rejected_total\{reason="missing"\} 2\n/);
  assert.match(text, /clickstream_events_rejected_total\{reason="not_an_object"\} 1\n/);
  assert.match(text, /clickstream_append_seconds_count 1\n/);
});

/** Mostly as it should be, at times anything. */
const mostly = (good: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 14, arbitrary: good }, { weight: 1, arbitrary: fc.jsonValue() });
const anyEvent = fc.oneof(
  { weight: 1, arbitrary: fc.jsonValue() },
  {
    weight: 4,
    arbitrary: fc.record(
      {
        event_name: mostly(fc.constantFrom('x', 7, 'ä😀')),
        event_id: mostly(fc.uuid()),
        event_time: mostly(fc.constantFrom(NOW, '2026-05-31 10:00:00', String(NOW - 99))),
        url: mostly(fc.webUrl({ withQueryParameters: true })),
        referrer: mostly(fc.webUrl()),
        item_price: mostly(fc.double({ min: -1e9, max: 1e9, noNaN: true })),
        quantity: mostly(fc.integer()),
        properties: mostly(fc.dictionary(fc.string(), fc.jsonValue())),
        items: mostly(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 3 })),
        more: fc.jsonValue(),
      },
      { requiredKeys: ['event_name'] },
    ),
  },
);

test('any JSON is taken or refused by name; what is taken reads back as the same event', async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anyEvent, { maxLength: 8 }), async (events) => {
      const { send, records } = setUp();
      const answer = await send(events);
      accepted += answer.accepted;
      const all = await records();
      assert.equal(all.length, events.length, 'every event is on the log, whatever became of it');
      assert.equal(answer.accepted + answer.rejected.length, events.length);
      for (const { reason } of answer.rejected) assert.ok(reason in REASONS);
      for (const record of all) {
        if (!('event' in record)) continue;
        const { v, project_id, received_at, bot, ...sent } = record.event;
        const again = parseEvent(sent, { project_id, received_at, escaped: true });
        assert.deepEqual(JSON.parse(JSON.stringify(again)), record.event);
      }
    }),
    { seed, numRuns: 300 },
  );
  assert.ok(accepted > 200, `only ${accepted} were accepted`);
});

test('an event becomes the same whoever its neighbours are', async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  const becomes = async (events: unknown[], at: number) => {
    const { send, records } = setUp();
    await send(events);
    const record = (await records())[at];
    assert.ok(record !== undefined);
    return JSON.stringify('event' in record ? withoutMadeId(record.event) : record.rejected.reason);
  };
  const withoutMadeId = ({ event_id, ...event }: Event) => event;
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyEvent, { maxLength: 4 }),
      anyEvent,
      fc.array(anyEvent, { maxLength: 4 }),
      async (before, event, behind) => {
        const alone = await becomes([event], 0);
        assert.equal(await becomes([...before, event, ...behind], before.length), alone);
      },
    ),
    { seed, numRuns: 200 },
  );
});
