/** The bounded memory of answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remember } from './recent.ts';

test('makes an answer once, and forgets what was not used for long', () => {
  const made: string[] = [];
  const answer = remember(
    (key) => {
      made.push(key);
      return key.toUpperCase();
    },
    { entriesMax: 4, keyCharsMax: 3 },
  );
  const ask = (keys: string) => {
    for (const key of keys) assert.equal(answer(key), key.toUpperCase());
    return made.splice(0).join('');
  };
  assert.equal(ask('ababab'), 'ab');
  assert.equal(ask('cacac'), 'c', 'a is moved into the young generation');
  assert.equal(ask('d'), 'd', 'which is full, and becomes the old one');
  assert.equal(ask('ca'), '', 'c and a are still there');
  assert.equal(ask('b'), 'b', 'b was forgotten');
});

test('does not keep long keys', () => {
  let count = 0;
  const answer = remember(() => ++count, { entriesMax: 2, keyCharsMax: 3 });
  assert.deepEqual([answer('long'), answer('long'), answer('abc'), answer('abc')], [1, 2, 3, 3]);
});
