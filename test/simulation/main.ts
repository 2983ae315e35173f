/**
 * The long form, and one run again: `node test/simulation/main.ts --runs 20000`, or
 * `--seed 17` for a single run with its trace. `--from` is the first seed of many.
 */
import { parseArgs } from 'node:util';
import { type Outcome, simulate } from './world.ts';

const LAST_LINES = 60;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '20000' },
    from: { type: 'string', default: String(Date.now() % 1_000_000_000) },
  },
});

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

if (values.seed !== undefined) {
  const outcome = await simulate(Number(values.seed), say);
  say(outcome.wrong.join('\n') || 'nothing is wrong');
  process.exitCode = outcome.wrong.length > 0 ? 1 : 0;
} else await simulateMany(Number(values.from), Number(values.runs));

async function simulateMany(from: number, runs: number): Promise<void> {
  const startedMs = performance.now();
  const hits = new Map<string, number>();
  let records = 0;
  const speed = (done: number): string =>
    `${Math.round((done * 1_000) / (performance.now() - startedMs))} runs/s`;
  say(`${runs} runs from seed ${from} on`);
  for (let done = 0; done < runs; done += 1) {
    if (done > 0 && done % 1_000 === 0) say(`${done} runs, ${speed(done)}`);
    const outcome = await simulate(from + done);
    if (outcome.wrong.length > 0) {
      await showFailure(outcome);
      say(
        `failed after ${done + 1} runs; again: node test/simulation/main.ts --seed ${outcome.seed}`,
      );
      process.exitCode = 1;
      return;
    }
    records += outcome.records;
    for (const [fault, count] of outcome.hits) hits.set(fault, (hits.get(fault) ?? 0) + count);
  }
  say(`${runs} runs, ${records} records, ${speed(runs)}, nothing is wrong; met on the way:`);
  for (const [fault, count] of [...hits].sort(([, a], [, b]) => b - a)) {
    say(`${String(count).padStart(9)}  ${fault}`);
  }
}

/** The seed gives the same run again, this time with its trace. */
async function showFailure({ seed, wrong }: Outcome): Promise<void> {
  const lines: string[] = [];
  await simulate(seed, (line) => lines.push(line));
  for (const line of lines.slice(-LAST_LINES)) say(line);
  say(`seed ${seed}: ${wrong.join('\n')}`);
}
