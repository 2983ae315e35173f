/**
 * The short form of `npm run test:crash`: kill -9 of the main process, of its engine, of both, at
 * any time and at named instants, under load, and the judge at the end.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runFolder } from './folder.ts';
import { describe, makeKillList } from './kill-list.ts';

const KILLS = 26;
/** Two data folders at the same time. */
const PER_FOLDER = 13;

test('kill -9 of the system or of its engine, whenever it comes, loses and doubles nothing', async (t) => {
  const seed = Number(process.env.CLICKSTREAM_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(
    `again: npm run test:crash -- --kills ${KILLS} --folder ${PER_FOLDER} --seed ${seed}`,
  );
  const folders = makeKillList(seed, KILLS, PER_FOLDER);
  for (const { number, kills } of folders)
    for (const kill of kills) t.diagnostic(`folder ${number}: ${describe(kill)}`);
  const results = await Promise.all(folders.map((folder) => runFolder(folder, () => undefined)));
  for (const { outcomes, verdict, fault } of results) {
    assert.equal(fault, undefined);
    const hits = outcomes.filter(({ isHit }) => isHit).length;
    t.diagnostic(`${hits} kills, ${verdict.events} events, ${verdict.duplicates} duplicates`);
    assert.ok(hits > PER_FOLDER / 2);
  }
});
