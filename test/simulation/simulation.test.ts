/**
 * The short form of the simulation: random runs, new ones each time, and a few that are always the
 * same. `npm run test:simulation` is the long form.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from './world.ts';

const RUNS = 500;

async function assertRight(seed: number): Promise<void> {
  const { wrong } = await simulate(seed);
  const again = `again: node test/simulation/main.ts --seed ${seed}`;
  assert.deepEqual(wrong, [], again);
}

test(`${RUNS} random runs end with every record exactly once`, async (t) => {
  const seed = Number(process.env.CLICKSTREAM_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seeds ${seed} to ${seed + RUNS - 1}`);
  for (let run = 0; run < RUNS; run += 1) await assertRight(seed + run);
});

test('twenty runs that are always the same end with every record exactly once', async () => {
  for (let seed = 1; seed <= 20; seed += 1) await assertRight(seed);
});

test('the same seed gives the same run, step by step', async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const traces: string[][] = [[], []];
    for (const lines of traces) await simulate(seed, (line) => lines.push(line));
    assert.ok((traces[0]?.length ?? 0) > 50);
    assert.deepEqual(traces[0], traces[1]);
  }
});
