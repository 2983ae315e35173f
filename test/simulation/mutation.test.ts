/** The simulation can fail: it finds each fault that is put into the real source. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { MUTATIONS, mutate } from './mutations.ts';
import { simulate } from './world.ts';

/** Seeds from 1 on that a mutation has to be found within; most take a few. */
const RUNS_MAX = 300;
/** It changes the source too, and is right: what the simulation finds without it is the flaw. */
const RIGHT = 'a token instead of a look, and tokens without their flaw';

/** Runs the simulation in a process of its own, with the mutation in its source. */
function simulateMutated(mutation: string): Promise<string> {
  const hook = pathToFileURL(join(import.meta.dirname, 'mutate.ts'));
  hook.search = encodeURIComponent(mutation);
  const main = join(import.meta.dirname, 'main.ts');
  const args = ['--import', hook.href, main, '--runs', String(RUNS_MAX), '--from', '1'];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { maxBuffer: 1e8 }, (_error, out, err) => resolve(out + err));
  });
}

for (const mutation of Object.keys(MUTATIONS).filter((name) => name !== RIGHT)) {
  test(`it finds ${mutation}`, async (t) => {
    const said = await simulateMutated(mutation);
    const seed = Number(/--seed (\d+)/.exec(said)?.[1]);
    assert.ok(seed > 0, `found nothing in ${RUNS_MAX} runs: ${said.slice(-2_000)}`);
    t.diagnostic(`found by seed ${seed}`);
    // It is the mutation that is found.
    for (let without = 1; without <= seed; without += 1) {
      assert.deepEqual((await simulate(without)).wrong, []);
    }
  });
}

test('what it finds in a token instead of a look is the flaw of the token', async () => {
  assert.match(await simulateMutated(RIGHT), /nothing is wrong/);
});

test('a mutation whose piece of source has moved is refused', () => {
  assert.throws(
    () => mutate('commit before the insert', 'src/process/process.ts', 'moved'),
    /src\/process\/process\.ts has 0 times/,
  );
  assert.throws(() => mutate('unknown', 'src/process/process.ts', ''), /there is no mutation/);
});
