/** What a full disk has left broken is not confirmed, is put aside, and no row is missing. */
import assert from 'node:assert/strict';
import { globSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { letWrites, openTestEngine, type TestEngine } from './test-engine.ts';

const LOOK_AGAIN_MS = 50;
const ROWS = 'SELECT groupArray(b) FROM (SELECT b FROM t ORDER BY a)';
const INSERT = 'INSERT INTO t (a, b) FORMAT JSONCompactEachRow\n';
const THREE = `${INSERT}[3,"three"]\n`;
const NOT_ENOUGH_SPACE = '243';
const CORRUPTED_DATA = '246';

/** Resolves when the engine's next process serves; nothing is asked of this one meanwhile. */
async function untilNext({ engine }: TestEngine, pid: number | undefined): Promise<void> {
  while (engine.pid() === pid) await sleep(LOOK_AGAIN_MS);
  while (!(await fetch(`${engine.url}/ping`).catch(() => undefined))) await sleep(LOOK_AGAIN_MS);
}

// Each of them waits until an engine may end itself.
describe('a full disk', { concurrency: true }, () => {
  test('a merged part without its marks is put aside, and no row is missing', async (t) => {
    const opened = await openTestEngine();
    const { engine, folder, ask, own, close } = opened;
    t.after(close);
    await own(THREE);
    await own('OPTIMIZE TABLE t FINAL');
    const [path] = globSync('data/store/*/*/all_1_2_1/*.cmrk*', { cwd: folder });
    assert.ok(path !== undefined);
    truncateSync(join(folder, path));

    const pid = engine.pid();
    const broken = await ask('owner', ROWS);
    assert.equal(broken.code, CORRUPTED_DATA, broken.text);
    await untilNext(opened, pid);
    assert.equal((await own(ROWS)).text, "['one','two','three']\n");
  });

  const skip = process.platform === 'linux' ? false : 'only on Linux writes can be made to fail';

  test('rows that could not be written are not confirmed, and can be sent again', {
    skip,
  }, async (t) => {
    const opened = await openTestEngine();
    const { engine, ask, own, close } = opened;
    t.after(close);
    const pid = engine.pid();
    letWrites(pid, 'fail');
    const insert = await ask('owner', THREE);
    letWrites(pid, 'succeed');
    assert.equal(insert.code, NOT_ENOUGH_SPACE, insert.text);
    // Nothing is settled either, so that nobody looks at what this process believes to have.
    const settle = await ask('owner', "KILL QUERY WHERE query_id = 'x' SYNC");
    assert.equal(settle.code, NOT_ENOUGH_SPACE, settle.text);

    await untilNext(opened, pid);
    assert.equal((await own(ROWS)).text, "['one','two']\n");
    await own(THREE);
    assert.equal((await own(ROWS)).text, "['one','two','three']\n");
  });

  test('a merge that could not be written is noticed when nobody asks', { skip }, async (t) => {
    const opened = await openTestEngine();
    const { engine, ask, own, close } = opened;
    t.after(close);
    await own('SYSTEM STOP MERGES t');
    const parts = 20;
    for (let part = 0; part < parts; part++) await own(`${INSERT}[${3 + part},"more"]\n`);
    const pid = engine.pid();
    letWrites(pid, 'fail');
    // Answered before the merge or behind it.
    await ask('owner', 'SYSTEM START MERGES t');
    await untilNext(opened, pid);
    assert.equal(
      (await own('SELECT count(), uniqExact(a) FROM t')).text,
      `${2 + parts}\t${2 + parts}\n`,
    );
  });
});
