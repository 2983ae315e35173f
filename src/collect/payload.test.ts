/** What is kept of a refused event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAYLOAD_BYTES_MAX } from '../event/rejection.ts';
import { payloadOf } from './payload.ts';
import { BadLine } from './split.ts';

test('a short one is kept whole', () => {
  assert.equal(payloadOf({ a: ['ä', null] }), '{"a":["ä",null]}');
  assert.equal(payloadOf(new BadLine('{"a":')), '{"a":');
  assert.equal(payloadOf('\ud83d'), '"\\ud83d"');
});

test('a long one is cut between two characters', () => {
  for (const character of ['a', 'ä', '€', '😀']) {
    for (const before of ['', 'b', 'bb', 'bbb']) {
      const line = before + character.repeat(PAYLOAD_BYTES_MAX);
      const kept = payloadOf(new BadLine(line));
      const bytes = Buffer.byteLength(kept);
      assert.ok(bytes <= PAYLOAD_BYTES_MAX && bytes > PAYLOAD_BYTES_MAX - 4, `${bytes} bytes`);
      assert.ok(line.startsWith(kept) && kept.isWellFormed());
    }
  }
});
