/** What the collector may have in hand, in all and per address. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLoad } from './load.ts';

const LIMITS = { bytesMax: 100, addressBytesMax: 60, addressRequestsMax: 2 };

test('one address is refused before it has all of it, others are not', () => {
  const load = createLoad(LIMITS);
  const share = load.enter('a');
  share.take(60);
  assert.throws(() => load.enter('a').take(1), { code: 'too_many_requests', retryAfterS: 1 });
  load.enter('b').take(40);
  assert.equal(load.bytes(), 100);
  assert.throws(() => load.enter('c').take(1), { code: 'overloaded', retryAfterS: 1 });
});

test('one address has a bounded number of requests at once', () => {
  const load = createLoad(LIMITS);
  const first = load.enter('a');
  load.enter('a');
  assert.throws(() => load.enter('a'), { code: 'too_many_requests' });
  load.enter('b');
  first.release();
  load.enter('a');
});

test('what is released can be taken again, however the request ended', () => {
  const load = createLoad(LIMITS);
  for (let i = 0; i < 10; i++) {
    const share = load.enter('a');
    share.take(50);
    assert.throws(() => share.take(50));
    share.release();
  }
  assert.equal(load.bytes(), 0);
});
