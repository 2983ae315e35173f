/** What a start owes after the machine went down. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { realClock } from './base/clock.ts';
import { createLogger } from './base/logger.ts';
import { createMemoryLog } from './log/memory.ts';
import { openRunningFile } from './running-file.ts';

const NOW_MS = Date.UTC(2026, 10, 24, 12);
const HOUR_MS = 3_600_000;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clickstream-running-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Records of these hours before now, of which so many are committed. */
async function owedAfter(hoursAgo: number[], committed: number): Promise<number | undefined> {
  const log = createMemoryLog({ clock: realClock, partitions: 1 });
  for (const hours of hoursAgo) {
    const timeMs = NOW_MS - hours * HOUR_MS;
    await log.append([{ key: 'a', bytes: Buffer.from('{}'), timeMs }]);
  }
  await log.commit(0, committed);
  await writeFile(join(folder, 'running.json'), JSON.stringify({ boot_id: 'another', token: '' }));
  return (await openRunningFile(folder, log, createLogger('silent'))).auditFromMs;
}

test('the hour before the newest record is owed', async () => {
  assert.equal(await owedAfter([], 0), undefined);
  assert.equal(await owedAfter([9, 5, 0], 3), NOW_MS - HOUR_MS);
});

test('where records wait, what was stored last lies before them', async () => {
  assert.equal(await owedAfter([9, 6, 5, 0], 2), NOW_MS - 6 * HOUR_MS);
});
