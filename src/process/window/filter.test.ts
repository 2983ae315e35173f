/** The filter: whatever it took is in it, little else is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createFilter } from './filter.ts';
import { createKeyHash } from './key-hash.ts';

const secret = fc.tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer());

test('what a filter took is in it, however small it is and however often the same comes', () => {
  fc.assert(
    fc.property(
      secret,
      fc.integer({ min: 10, max: 300 }),
      fc.array(fc.integer({ min: 0, max: 150 }), { maxLength: 300, size: 'max' }),
      (words, bytes, ids) => {
        const hash = createKeyHash(Int32Array.from(words));
        const filter = createFilter(bytes);
        assert.ok(filter.bytes <= bytes);
        const taken = new Map<number, number>();
        for (const [timeMs, id] of ids.entries())
          if (filter.add(hash(`id-${id}`), timeMs)) taken.set(id, timeMs);
        for (const id of taken.keys()) assert.ok(filter.has(hash(`id-${id}`)), `id-${id} is lost`);
        assert.equal(filter.newestMs, Math.max(Number.NEGATIVE_INFINITY, ...taken.values()));
      },
    ),
    { verbose: 1, numRuns: 500 },
  );
});

test('a filter takes what its size is for, and hardly any new id for one of them', (t) => {
  const hash = createKeyHash();
  const filter = createFilter(100_000);
  let taken = 0;
  while (filter.add(hash(`id-${taken}`), 0)) taken++;
  assert.ok(taken >= 37_000, `${taken} of 40,000 places were taken`);
  let wrong = 0;
  for (let i = 0; i < 1_000_000; i++) if (filter.has(hash(`new-${i}`))) wrong++;
  t.diagnostic(`${taken} ids, ${wrong} of 1,000,000 others are taken for one of them`);
  // 8 in 2^20 are expected.
  assert.ok(wrong <= 30, `${wrong} of 1,000,000 others are taken for one of them`);
});

test('a filter that was cleared is as new', () => {
  const hash = createKeyHash();
  const filter = createFilter(400);
  for (let round = 0; round < 3; round++) {
    let taken = 0;
    while (filter.add(hash(`${round}-${taken}`), 5_000)) taken++;
    assert.ok(taken >= 80);
    filter.clear();
    assert.equal(filter.newestMs, Number.NEGATIVE_INFINITY);
    for (let i = 0; i < taken; i++) assert.equal(filter.has(hash(`${round}-${i}`)), false);
  }
});

test('an id that comes again takes no more room', () => {
  const hash = createKeyHash();
  const filter = createFilter(400);
  for (let i = 0; i < 1_000; i++) assert.ok(filter.add(hash('again'), i));
  assert.equal(filter.newestMs, 999);
});
