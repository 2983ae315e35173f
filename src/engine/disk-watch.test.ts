/** A part that a full disk has left unreadable is put aside, and its sources are taken again. */
import assert from 'node:assert/strict';
import { globSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTestEngine } from './test-engine.ts';

const LOOK_AGAIN_MS = 50;

test('a merged part without its marks is put aside, and no row is missing', async (t) => {
  const { folder, ask, own, close } = await openTestEngine();
  t.after(close);
  await own('INSERT INTO t (a, b) FORMAT JSONCompactEachRow\n[3,"three"]\n');
  await own('OPTIMIZE TABLE t FINAL');
  const [path] = globSync('data/store/*/*/all_1_2_1/*.cmrk*', { cwd: folder });
  assert.ok(path !== undefined);
  truncateSync(join(folder, path));

  const question = 'SELECT groupArray(b) FROM (SELECT b FROM t ORDER BY a)';
  const broken = await ask('owner', question);
  assert.equal(broken.code, '246', broken.text);
  for (;;) {
    const answer = await ask('owner', question).catch(() => undefined);
    if (answer !== undefined && answer.code !== '246') {
      assert.equal(answer.text, "['one','two','three']\n");
      break;
    }
    await sleep(LOOK_AGAIN_MS);
  }
});
