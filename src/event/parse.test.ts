/** Events as they may come in: what is taken as what, and one test for each reason of refusing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FIELDS, type SentField } from './event.ts';
import { type Draft, EVENT_LIMITS, parseEvent, RESERVED, readEventId } from './parse.ts';
import type { Reason, Rejection } from './rejection.ts';

const RECEIPT = { project_id: 'shop', received_at: Date.UTC(2026, 5, 1), escaped: true };
const parse = (input: unknown) => parseEvent(input, RECEIPT);

/** What is taken of it, as a record holds it: without what is undefined. */
function taken(input: unknown): Draft {
  const result = parse(input);
  assert.ok(!('reason' in result), `refused: ${JSON.stringify(result)}`);
  return JSON.parse(JSON.stringify(result)) as Draft;
}

/** What a sender would have sent: without what the collector adds. */
function sentPart(event: Draft): Record<string, unknown> {
  const { v, project_id, received_at, ...sent } = event;
  assert.deepEqual(
    { v, project_id, received_at },
    { v: 1, project_id: 'shop', received_at: RECEIPT.received_at },
  );
  return sent;
}

describe('an event is refused', () => {
  const refuses = (title: string, expected: Rejection, inputs: unknown[]) =>
    test(`${title}: ${expected.reason}`, () => {
      for (const input of inputs) assert.deepEqual(parse(input), expected, JSON.stringify(input));
    });
  const of = (reason: Reason, field: string): Rejection => ({ reason, field });
  const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });
  const names = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, i]));

  refuses('when it is no JSON object', of('not_an_object', ''), [1, 'x', null, true, [], [{}]]);
  refuses('without a name', of('missing', 'event_name'), [
    {},
    { event_name: '' },
    { event_name: null },
    { name: 'x' },
  ]);
  refuses('with a value of another type', of('wrong_type', 'title'), [
    { event_name: 'x', title: {} },
    { event_name: 'x', title: [] },
    { title: true },
  ]);
  refuses('with properties that are no object', of('wrong_type', 'properties'), [
    { event_name: 'x', properties: [] },
    { event_name: 'x', properties: 'a' },
  ]);
  refuses('with items that are no list of objects', of('wrong_type', 'items'), [
    { event_name: 'x', items: {} },
    { event_name: 'x', items: [1] },
    { event_name: 'x', items: [null] },
    { event_name: 'x', items: [[]] },
  ]);
  refuses('with a text that is no number', of('bad_format', 'quantity'), [
    { event_name: 'x', quantity: 'many' },
  ]);
  refuses('with a bad value in an item', of('bad_format', 'items.quantity'), [
    { event_name: 'x', items: [{ product_id: 1 }, { quantity: 'many' }] },
  ]);
  refuses('with NUL or half of a character', of('bad_text', 'title'), [
    { event_name: 'x', title: 'a\0' },
    { event_name: 'x', title: '\udc00' },
  ]);
  refuses('with NUL or half of a character in the properties', of('bad_text', 'properties'), [
    { event_name: 'x', properties: { a: ['b\0'] } },
    { event_name: 'x', properties: { 'a\0': 1 } },
    { event_name: 'x', a: '\ud800' },
  ]);
  refuses('with a text that is too long', of('too_long', 'event_name'), [
    { event_name: 'x'.repeat(129) },
  ]);
  refuses('with a number outside of its range', of('out_of_range', 'quantity'), [
    { event_name: 'x', quantity: 2 ** 31 },
    { event_name: 'x', quantity: -1e300 },
  ]);
  refuses('with a number that JSON cannot write again', of('out_of_range', 'properties'), [
    { event_name: 'x', properties: { a: JSON.parse('1e999') } },
  ]);
  refuses('nested too deep', of('too_deep', 'properties'), [
    { event_name: 'x', properties: deep(EVENT_LIMITS.depthMax) },
    { event_name: 'x', a: deep(EVENT_LIMITS.depthMax - 1) },
    { event_name: 'x', a: deep(1000) },
  ]);
  refuses('with too many properties', of('too_many_properties', 'properties'), [
    { event_name: 'x', properties: names(EVENT_LIMITS.propertiesMax + 1) },
    { event_name: 'x', ...names(10_000) },
    { event_name: 'x', a: names(200), b: names(200) },
  ]);
  refuses('with too many items', of('too_many_items', 'items'), [
    { event_name: 'x', items: Array.from({ length: EVENT_LIMITS.itemsMax + 1 }, () => ({})) },
  ]);
  for (const name of RESERVED) {
    refuses(`with the pipeline’s own ${name}`, of('reserved', name), [
      { event_name: 'x', [name]: 1 },
    ]);
  }

  test('only above the limits, not at them', () => {
    taken({ event_name: 'x'.repeat(128) });
    taken({ event_name: 'x', properties: deep(EVENT_LIMITS.depthMax - 1) });
    taken({ event_name: 'x', properties: names(EVENT_LIMITS.propertiesMax) });
    const items = Array.from({ length: EVENT_LIMITS.itemsMax }, () => ({ quantity: 1 }));
    assert.equal(taken({ event_name: 'x', items }).items?.length, EVENT_LIMITS.itemsMax);
  });
});

test('an event keeps its fields in their canonical form', () => {
  const sent = {
    event_name: 'BOOKING',
    event_time: '2026-05-31T23:59:59.5+00:00',
    customer_id: 4711,
    quantity: '2',
    item_price: '19.90',
    birthdate: '1990-05-17',
    title: null,
    referrer: '',
    properties: { shade: 'blue', sizes: [1, null], '': '' },
  };
  assert.deepEqual(sentPart(taken(sent)), {
    event_name: 'BOOKING',
    event_time: Date.UTC(2026, 4, 31, 23, 59, 59, 500),
    customer_id: '4711',
    quantity: 2,
    item_price: '19.9',
    birthdate: '1990-05-17',
    properties: { shade: 'blue', sizes: [1, null], '': '' },
  });
});

test('a whole number with a point is one where a table has written it, and nowhere else', () => {
  for (const name of ['add_to_cart_product_id', 'purchased_product_id']) {
    assert.equal(taken({ event_name: 'x', [name]: '15311.0' }).product_id, '15311');
    assert.equal(taken({ event_name: 'x', [name]: '15311.5' }).product_id, '15311.5');
    assert.equal(taken({ event_name: 'x', [name]: 'v1.0' }).product_id, 'v1.0');
  }
  assert.equal(taken({ event_name: 'x', product_id: '15311.0' }).product_id, '15311.0');
});

test('keys that have no field move into the properties, which win', () => {
  const event = taken({
    event_name: 'x',
    shade: 'red',
    size: 1,
    no: '',
    properties: { shade: 'blue' },
  });
  assert.deepEqual(event.properties, { shade: 'blue', size: 1 });
  assert.equal(taken({ event_name: 'x', properties: {} }).properties, undefined);
});

test('names that mean something to JavaScript mean nothing here', () => {
  const text =
    '{"event_name":"x","__proto__":{"bot":"y"},"constructor":{"prototype":1},"toString":0,' +
    '"hasOwnProperty":null,"properties":{"__proto__":{"polluted":true}}}';
  const event = taken(JSON.parse(text));
  assert.equal(
    JSON.stringify(event.properties),
    '{"__proto__":{"polluted":true},"constructor":{"prototype":1},"toString":0}',
  );
  assert.equal(event.bot, undefined);
  assert.equal(Object.getPrototypeOf(event), Object.prototype);
  assert.ok(!('polluted' in {}));
});

test('the 21 fields of the original land in the fields of the event', () => {
  const cart = taken({
    session_id: 'fb0abf9e',
    event_id: '9c4388c4',
    event_name: 'ADD_TO_CART',
    event_time: '2019-09-06T15:54:32.821085Z',
    traffic_source: 'MOBILE',
    add_to_cart_product_id: '15315',
    add_to_cart_quantity: '1',
    add_to_cart_masterCategory: 'Apparel',
    add_to_cart_subCategory: 'Topwear',
    search_keywords: null,
    booking_id: null,
    customer_id: '5868',
    gender: 'F',
    birthdate: '1993-04-01',
    purchased_product_id: null,
    purchased_quantity: '',
    purchased_masterCategory: null,
    purchased_subCategory: null,
    item_price: '313529',
    payment_method: null,
    payment_status: null,
  });
  assert.deepEqual(sentPart(cart), {
    session_id: 'fb0abf9e',
    event_id: '9c4388c4',
    event_name: 'ADD_TO_CART',
    event_time: Date.UTC(2019, 8, 6, 15, 54, 32, 821),
    traffic_source: 'MOBILE',
    customer_id: '5868',
    gender: 'F',
    birthdate: '1993-04-01',
    item_price: '313529',
    product_id: '15315',
    quantity: 1,
    master_category: 'Apparel',
    sub_category: 'Topwear',
  });
  const bought = taken({
    event_name: 'BOOKING',
    purchased_product_id: 7,
    purchased_quantity: 3,
    purchased_masterCategory: 'Footwear',
    purchased_subCategory: 'Shoes',
    payment_status: 'Success',
  });
  assert.equal(bought.product_id, '7');
  assert.equal(bought.quantity, 3);
  assert.equal(bought.master_category, 'Footwear');
  assert.equal(bought.sub_category, 'Shoes');
});

test('of several names of a field its own wins, then the cart, then the purchase', () => {
  const all = { add_to_cart_quantity: 2, purchased_quantity: 3 };
  assert.equal(taken({ event_name: 'x', ...all, quantity: 1 }).quantity, 1);
  assert.equal(taken({ event_name: 'x', ...all }).quantity, 2);
  assert.equal(taken({ event_name: 'x', masterCategory: 'a' }).master_category, 'a');
  assert.deepEqual(parse({ event_name: 'x', add_to_cart_quantity: 'two' }), {
    reason: 'bad_format',
    field: 'add_to_cart_quantity',
  });
});

test('items keep their fields; those that say more stay in the properties as well', () => {
  const plain = [{ product_id: 7, quantity: '2', item_price: 9.5, masterCategory: 'Shoes' }];
  const event = taken({ event_name: 'x', items: plain });
  assert.deepEqual(event.items, [
    { product_id: '7', quantity: 2, item_price: '9.5', master_category: 'Shoes' },
  ]);
  assert.equal(event.properties, undefined);
  const more = [{ product_id: '7', shade: 'red' }, {}];
  assert.deepEqual(taken({ event_name: 'x', items: more }).items, [{ product_id: '7' }, {}]);
  assert.deepEqual(taken({ event_name: 'x', items: more }).properties, { items: more });
});

test('the id of a refused event is read if it can be', () => {
  assert.equal(readEventId({ event_id: 'a', title: {} }), 'a');
  assert.equal(readEventId({ event_id: 7 }), '7');
  for (const input of [
    {},
    { event_id: '' },
    { event_id: 'a\0' },
    { event_id: {} },
    null,
    [],
    'a',
  ]) {
    assert.equal(readEventId(input), undefined);
  }
});

test('texts are searched for half characters only when the body could bring them', () => {
  const unescaped = parseEvent({ event_name: 'a\0' }, { ...RECEIPT, escaped: false });
  assert.ok(!('reason' in unescaped));
});

test('whatever JSON comes in, it is refused by name or parses again as the same event', (t) => {
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  const fields = Object.keys(FIELDS) as SentField[];
  const others = ['masterCategory', 'purchased_quantity', 'v', '__proto__', 'constructor', 'x'];
  const value = fc.oneof(
    fc.jsonValue(),
    fc.string({ unit: 'binary', maxLength: 9 }),
    fc.integer(),
    fc.constantFrom('2026-05-01', '2026-05-01T10:00:00Z', '12.50', '7', 7, 'text'),
    fc.array(fc.record({ product_id: fc.nat(), quantity: fc.nat(), x: fc.nat() }), {
      maxLength: 3,
    }),
  );
  const entry = fc.tuple(fc.constantFrom(...fields, ...others), value);
  let takenCount = 0;
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), fc.boolean(), (entries, named) => {
      const all = named ? [...entries, ['event_name', 'x'] as const] : entries;
      const input = JSON.parse(JSON.stringify(Object.fromEntries(all)));
      const event = parse(input);
      if ('reason' in event) return;
      takenCount++;
      const written = JSON.stringify(event);
      const again = taken(sentPart(JSON.parse(written)));
      assert.equal(JSON.stringify(again), JSON.stringify({ ...JSON.parse(written) }), written);
      assert.deepEqual(again, JSON.parse(written));
    }),
    { seed, numRuns: 2_000 },
  );
  assert.ok(takenCount > 200, `only ${takenCount} were taken`);
});
