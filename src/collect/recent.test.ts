/** The bounded memory of answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remember } from './recent.ts';

test('makes an answer once, until it was used longest ago', () => {
  const made: string[] = [];
  const answer = remember(
    (key) => {
      made.push(key);
      return key.toUpperCase();
    },
    { entriesMax: 2, keyCharsMax: 3 },
  );
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) assert.equal(answer(key), key.toUpperCase());
  assert.deepEqual(made, ['a', 'b', 'c', 'b']);
});

test('does not keep long keys', () => {
  let count = 0;
  const answer = remember(() => ++count, { entriesMax: 2, keyCharsMax: 3 });
  assert.deepEqual([answer('long'), answer('long'), answer('abc'), answer('abc')], [1, 2, 3, 3]);
});
