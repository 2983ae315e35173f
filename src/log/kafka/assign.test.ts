/** Who gets which partition: all of them, evenly, and as few as possible move. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assign, claimOf } from './assign.ts';

const TOPIC = 'clicks';
const seed = Number(process.env.CLICKSTREAM_TEST_SEED ?? Date.now() % 2 ** 31);

type Claims = Record<string, Buffer | string | null>;
type Shares = Map<string, number[]>;

function shared(partitions: number, claims: Claims): Shares {
  const members = new Map(
    Object.entries(claims).map(([memberId, metadata]) => [memberId, { memberId, metadata }]),
  );
  const metadata = { topics: new Map([[TOPIC, { partitionsCount: partitions }]]) };
  const assigned = assign('', members, new Set([TOPIC]), metadata);
  return new Map(
    assigned.map(({ memberId, assignments }) => [
      memberId,
      assignments.get(TOPIC)?.partitions ?? [],
    ]),
  );
}

/** As the members say it of themselves when they join the next time. */
function claimsOf(shares: Shares, ids: readonly string[] = [...shares.keys()]): Claims {
  return Object.fromEntries(ids.map((id) => [id, claimOf(shares.get(id) ?? [])]));
}

function assertWholeAndEven(partitions: number, shares: Shares): void {
  const all = [...shares.values()].flat().sort((a, b) => a - b);
  assert.deepEqual(
    all,
    Array.from({ length: partitions }, (_, partition) => partition),
  );
  const sizes = [...shares.values()].map(({ length }) => length);
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `sizes ${sizes}`);
}

function countKept(before: Shares, after: Shares): number {
  let kept = 0;
  for (const [id, mine] of after)
    kept += mine.filter((partition) => before.get(id)?.includes(partition)).length;
  return kept;
}

/** What can stay at most: who had more than the even share gives, where one more can be had by some. */
function mostKept(before: Shares, ids: readonly string[], partitions: number): number {
  const least = Math.floor(partitions / ids.length);
  const had = ids.map((id) => before.get(id)?.length ?? 0);
  const more = Math.min(partitions % ids.length, had.filter((count) => count > least).length);
  return had.reduce((sum, count) => sum + Math.min(count, least), more);
}

const partitions = fc.integer({ min: 1, max: 40 });
/** Some of a few, so that many stay from one generation to the next. */
const members = fc.shuffledSubarray([...'abcdefgh'], { minLength: 1 });

test('every partition is one member’s, shares are even, and as few as possible move when some join or leave', () => {
  const property = fc.property(
    partitions,
    fc.array(members, { minLength: 1, maxLength: 6 }),
    (count, generations) => {
      let before: Shares = new Map();
      for (const ids of generations) {
        const after = shared(count, claimsOf(before, ids));
        assertWholeAndEven(count, after);
        assert.equal(countKept(before, after), mostKept(before, ids, count));
        before = after;
      }
    },
  );
  fc.assert(property, { seed, numRuns: 500 });
});

test('whatever members claim, every partition is one member’s and shares are even', () => {
  const number = fc.oneof(fc.integer({ min: -2, max: 45 }), fc.double());
  const claim = fc.oneof(
    fc.array(number).map((claimed) => claimOf(claimed)),
    fc.json(),
    fc.string(),
    fc.constant(null),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  );
  const property = fc.property(
    partitions,
    members,
    fc.infiniteStream(claim),
    (count, ids, said) => {
      const claims = Object.fromEntries(ids.map((id) => [id, said.next().value ?? null]));
      assertWholeAndEven(count, shared(count, claims));
    },
  );
  fc.assert(property, { seed, numRuns: 500 });
});

test('nothing moves when the members are the same', () => {
  const property = fc.property(partitions, members, (count, ids) => {
    const before = shared(count, claimsOf(new Map(), ids));
    assert.deepEqual(shared(count, claimsOf(before)), before);
  });
  fc.assert(property, { seed });
});

test('of two that claim the same one has it, and the other keeps the rest of what it had', () => {
  const shares = shared(4, { a: claimOf([0, 1]), b: claimOf([1, 3]) });
  assert.deepEqual(Object.fromEntries(shares), { a: [0, 1], b: [2, 3] });
});

test('a member that says nothing to be read gets what is left', () => {
  for (const said of ['', 'null', '{"0":1}', '[0.5,"1",null,-1,9]', null]) {
    const shares = shared(4, { a: said, b: claimOf([0, 1]) });
    assert.deepEqual(Object.fromEntries(shares), { a: [2, 3], b: [0, 1] }, String(said));
  }
});

test('with more members than partitions some have none, and nobody loses its only one', () => {
  const shares = shared(2, { a: null, b: claimOf([1]), c: null, d: claimOf([0]) });
  assert.deepEqual(Object.fromEntries(shares), { a: [], b: [1], c: [], d: [0] });
});
