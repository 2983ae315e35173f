/** Records and their bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from './event.ts';
import { decodeRecord, encodeRecord, recordKey, type WireRecord } from './wire.ts';

const event: Event = {
  v: 1,
  project_id: 'shop',
  event_id: 'ä😀',
  session_id: 's',
  visitor_id: 'v',
  event_time: 1,
  received_at: 2,
  event_name: 'x',
  properties: JSON.parse('{"rejected":1,"__proto__":{"a":1}}'),
};
const rejected = {
  project_id: 'shop',
  event_id: '1',
  received_at: 2,
  reason: 'missing',
  field: 'event_name',
  payload: '{"a":"\0"}',
} as const;

test('an event and a refused one come back as they were', () => {
  for (const record of [{ event }, { rejected }] satisfies WireRecord[]) {
    const bytes = encodeRecord(record);
    const read = decodeRecord(bytes);
    const text = 'event' in record ? { propertiesText: JSON.stringify(event.properties) } : {};
    assert.deepEqual(read, { ...record, ...text });
    const within = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('x')]);
    assert.deepEqual(decodeRecord(within.subarray(2, -1)), read, 'also within a larger buffer');
    assert.equal(JSON.parse(bytes.toString()).v, 1, 'both name their version');
  }
});

test('what is no record is refused', () => {
  assert.throws(() => decodeRecord(Buffer.from('nope')), SyntaxError);
  assert.throws(() => decodeRecord(Buffer.from('{"v":2}')), RangeError);
  assert.throws(() => decodeRecord(Buffer.from('{}')), RangeError);
  assert.throws(() => decodeRecord(Buffer.from('{"v":1,"project_id":"a"}')), TypeError);
  const latin = Buffer.from('{"v":1,"project_id":"a","event_id":"\xe4"}', 'latin1');
  assert.throws(() => decodeRecord(latin), SyntaxError, 'not UTF-8');
  const ids = { v: 1, project_id: 'a', event_id: 'b' };
  for (const more of [{ url: '\ud800' }, { items: [{ product_id: '\ud800' }] }]) {
    const half = Buffer.from(JSON.stringify({ ...ids, ...more }));
    assert.throws(() => decodeRecord(half), TypeError, 'half of a pair');
  }
});

test('the key keeps projects apart', () => {
  assert.notEqual(recordKey('a', 'bc'), recordKey('ab', 'c'));
});
