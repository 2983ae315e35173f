/**
 * `npm run test:crash`: kill -9 under load, at random times and at every named instant, and the
 * judge after each data folder.
 *
 *   npm run test:crash                              500 kills, about a quarter of an hour on two cores
 *   npm run test:crash -- --kills 100 --seed 7      as many, from this seed
 *   npm run test:crash -- --seed 7 --only 3         the third data folder of that run again
 *   npm run test:crash -- --folder 40               so many kills in the life of a data folder
 *   npm run test:crash -- --write                   and the table of docs/delivery.md is written anew
 */
import { parseArgs } from 'node:util';
import { runFolder } from './folder.ts';
import { describe, makeKillList } from './kill-list.ts';
import { matrixOf, missedInstants, toPage, writeMatrix } from './matrix.ts';

const PER_FOLDER = 25;
const KILLS = 500;
/** Systems side by side: while one starts, another is killed. */
const SIDE_BY_SIDE = 3;

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: String(KILLS) },
    folder: { type: 'string', default: String(PER_FOLDER) },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const kills = Number(values.kills);
const print = (text: string): void => void process.stdout.write(`${text}\n`);

const all = makeKillList(seed, kills, Number(values.folder));
const folders = all.filter(
  ({ number }) => values.only === undefined || number === Number(values.only),
);
print(`seed ${seed}, ${kills} kills in ${all.length} data folders`);
for (const folder of folders) {
  print(`\nfolder ${folder.number}, ${folder.partitions} partition(s):`);
  for (const [i, kill] of folder.kills.entries()) print(`  ${i + 1}. ${describe(kill)}`);
}
print('');

const startedMs = performance.now();
const waiting = [...folders];
const results: Awaited<ReturnType<typeof runFolder>>[] = [];
const failures: string[] = [];

async function takeTurns(): Promise<void> {
  for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
    const { number } = folder;
    const say = (line: string): void => {
      if (values.verbose || line.startsWith('did not')) print(`  folder ${number}: ${line}`);
    };
    let fault: string | undefined;
    try {
      const result = await runFolder(folder, say);
      results.push(result);
      fault = result.fault;
      const { events, duplicates } = result.verdict;
      const hits = result.outcomes.filter(({ isHit }) => isHit).length;
      print(`folder ${number}: ${hits} kills, ${events} events, ${duplicates} duplicates`);
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
    }
    if (fault === undefined) continue;
    const like = `--kills ${kills} --folder ${values.folder} --seed ${seed}`;
    failures.push(`${fault}\nagain: npm run test:crash -- ${like} --only ${number}`);
    print(`FAILED ${failures.at(-1)}`);
  }
}
await Promise.all(Array.from({ length: SIDE_BY_SIDE }, takeTurns));

const minutes = (performance.now() - startedMs) / 60_000;
const page = toPage(matrixOf(results), { seed, minutes, results });
print(`\n${page}`);
const missed = values.only === undefined ? missedInstants(results) : [];
if (missed.length > 0 && kills >= KILLS) {
  failures.push(`${missed.length} instants were never hit:\n  ${missed.join('\n  ')}`);
}
if (failures.length > 0) {
  print(`\n${failures.length} failures:\n${failures.join('\n\n')}`);
  process.exitCode = 1;
} else if (values.write) writeMatrix(page);
