/** The hash of ids: the one that was published, and another one for each window. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeyHash } from './key-hash.ts';

const hex = (hash: Int32Array): string =>
  [...hash].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join(' ');

test('the hash is Chaskey, as its author publishes it: empty, short, one block and more', () => {
  const hash = createKeyHash(Int32Array.of(0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39));
  // Messages of the bytes 0, 1, 2, …, as units of two bytes.
  const message = (bytes: number): string =>
    String.fromCharCode(...Array.from({ length: bytes / 2 }, (_, i) => 0x0100 + i * 0x0202));
  assert.equal(hex(hash(message(0))), '792e8fe5 75ce87aa 2d1450b5 1191970b');
  assert.equal(hex(hash(message(2))), '55df8922 2c7ff577 73809ef4 4e5084c0');
  assert.equal(hex(hash(message(14))), 'bf668497 275217a1 40c17ad4 2ed877c0');
  assert.equal(hex(hash(message(16))), '79271ca9 d66a1c71 81ca474e 49831cad');
  assert.equal(hex(hash(message(62))), '89a0d454 9201a282 ea1b1e50 1771bedc');
});

test('texts that differ in a unit, in its upper half or in their length have other hashes', () => {
  const hash = createKeyHash();
  const texts = [
    '',
    '\0',
    '\0\0',
    '\u0001',
    '\u0100',
    'a',
    'a\0',
    'a\u0001',
    'shop\0id',
    'shopid\0',
  ];
  const long = ['a', 'b', 'aa', '\u0161'].map((end) => `${'x'.repeat(7)}${end}`);
  const all = [...texts, ...long];
  assert.equal(new Set(all.map((text) => hex(hash(text)))).size, all.length);
});

test('no two windows hash alike', () => {
  assert.notEqual(hex(createKeyHash()('shop\0id')), hex(createKeyHash()('shop\0id')));
});
