/** From what was refused to what is sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { payloadOf } from '../../collect/payload.ts';
import type { Reason } from '../../event/rejection.ts';
import { encodeRecord } from '../../event/wire.ts';
import { type Mending, mend } from './mend.ts';

const RECEIVED_MS = Date.UTC(2026, 4, 1, 12);
const HOUR_MS = 3_600_000;
const NOTHING: Mending = { set: [], remove: [] };

function mended(payload: string, mending: Partial<Mending> = {}, reason: Reason = 'missing') {
  const place = { log_id: 1, log_partition: 0, log_offset: 0, batch_id: 1 };
  const row = { project_id: 'shop', event_id: 'row-1', reason, field: '', payload, ...place };
  const received_at = '2026-05-01 12:00:00.000';
  const result = mend({ ...row, received_at }, { ...NOTHING, ...mending });
  return 'json' in result ? (JSON.parse(result.json) as Record<string, unknown>) : result;
}

test('an event gets the id of its row and the time of its receiving, if it has none', () => {
  assert.deepEqual(mended('{"event_name":"A","event_id":null,"event_time":""}'), {
    event_name: 'A',
    event_id: 'row-1',
    event_time: RECEIVED_MS,
  });
  assert.deepEqual(mended('{"event_name":"A","event_id":7,"event_time":"2026-05-01"}'), {
    event_name: 'A',
    event_id: 7,
    event_time: Date.UTC(2026, 4, 1),
  });
});

test('what is wrong is taken out, then what is right is put in, also in the properties', () => {
  const event = mended('{"quantity":"many","properties":{"a":1,"b":{"c":2}},"x":1}', {
    remove: [['quantity'], ['properties', 'b', 'c'], ['x'], ['not', 'there']],
    set: [
      { path: ['event_name'], value: 'A' },
      { path: ['properties', 'b', 'd'], value: [null] },
      { path: ['properties', '__proto__', 'e'], value: true },
      { path: ['new', 'one'], value: 1 },
    ],
  });
  const { event_id, event_time, ...rest } = event as Record<string, unknown>;
  const properties = '{"a":1,"b":{"d":[null]},"__proto__":{"e":true}}';
  assert.equal(
    JSON.stringify(rest),
    `{"properties":${properties},"event_name":"A","new":{"one":1}}`,
  );
});

test('nothing is put into what is no object', () => {
  const set = [{ path: ['properties', 'a'], value: 1 }];
  const refused = { refused: { reason: 'wrong_type', field: 'properties' } };
  assert.deepEqual(mended('{"event_name":"A","properties":"text"}', { set }), refused);
});

test('a wrong clock is corrected as at the first arrival, and cannot be corrected again', () => {
  const sent_at = RECEIVED_MS - 24 * HOUR_MS;
  const event = { event_name: 'A', event_id: 'a' };
  const at = (fields: object) => mended(JSON.stringify({ ...event, ...fields }));
  assert.deepEqual(at({ event_time: sent_at - HOUR_MS, sent_at }), {
    ...event,
    event_time: RECEIVED_MS - HOUR_MS,
  });
  assert.deepEqual(at({ sent_at }), { ...event, event_time: RECEIVED_MS });
  assert.deepEqual(at({ event_time: RECEIVED_MS + 25 * HOUR_MS }), {
    refused: { reason: 'out_of_range', field: 'event_time' },
  });
});

test('a record that broke a later step becomes what a sender would send', () => {
  const known = { event_id: 'a', session_id: 's', visitor_id: 'v', event_name: 'A' };
  const times = { event_time: RECEIVED_MS - HOUR_MS, sent_at: RECEIVED_MS - 2 * HOUR_MS };
  const pipeline = {
    v: 1,
    project_id: 'shop',
    received_at: RECEIVED_MS,
    bot: 'user_agent',
  } as const;
  const event = encodeRecord({ event: { ...known, ...times, ...pipeline } }).toString();
  const sent = { ...known, event_time: times.event_time };
  assert.deepEqual(mended(event, {}, 'unprocessable'), sent);
  assert.deepEqual(mended(event), { refused: { reason: 'reserved', field: 'v' } });

  const rejection = {
    project_id: 'shop',
    event_id: 'row-1',
    reason: 'missing',
    field: '',
  } as const;
  const rejected = { ...rejection, received_at: RECEIVED_MS, payload: '{"event_name":"B"}' };
  assert.deepEqual(mended(encodeRecord({ rejected }).toString(), {}, 'unprocessable'), {
    event_name: 'B',
    event_id: 'row-1',
    event_time: RECEIVED_MS,
  });
});

test('what still breaks a rule is refused for it, and what is no JSON any more is lost', () => {
  assert.deepEqual(mended('[]'), { refused: { reason: 'not_an_object', field: '' } });
  assert.deepEqual(mended('{"event_name":"\\u0000"}'), {
    refused: { reason: 'bad_text', field: 'event_name' },
  });
  const large = JSON.stringify({ event_name: 'A', note: 'x'.repeat(66_000) });
  assert.deepEqual(mended(large), { refused: { reason: 'too_large', field: '' } });
  assert.deepEqual(mended('{"event_name":'), { lost: 'the payload is not JSON' });
  for (const title of ['x', '🛒', 'é', '€', '€€€x'].map((text) => text.repeat(4096)))
    assert.deepEqual(mended(payloadOf({ title })), {
      lost: 'the payload was cut at 4096 bytes',
    });
});
