/** Runs the contract of the log against every implementation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { logContract } from './log.contract.ts';
import { createMemoryLog } from './memory.ts';
import { openSpooledLog } from './spool.ts';
import { createTestFolder } from './test-folder.ts';

logContract('the log in memory', async (options) => ({
  log: createMemoryLog(options),
  reopen: undefined,
  remove: async () => undefined,
}));

logContract('the log in files', async (options) => {
  const folder = await createTestFolder(options);
  const log = await folder.open();
  return {
    log,
    reopen: async () => {
      await log.close();
      return folder.open();
    },
    remove: folder.remove,
  };
});

logContract('a log behind a spool', async (options) => {
  const { clock = realClock } = options;
  const folder = await createTestFolder({ clock, keepMs: 0, keepBytes: 0, keepAlwaysMs: 0 });
  const log = await openSpooledLog({
    log: createMemoryLog(options),
    spool: await folder.open(),
    bytesMax: 1024 ** 2,
    ageMsMax: 3_600_000,
    clock,
    logger: createLogger('silent'),
    onFatal(error) {
      throw error;
    },
  });
  return {
    log,
    reopen: undefined,
    async remove() {
      await log.close();
      await folder.remove();
    },
  };
});

test('the log in memory drops committed records for new ones, then refuses', async () => {
  const log = createMemoryLog({ partitions: 1, bytesMax: 10 });
  const record = { key: '', bytes: new Uint8Array(4), timeMs: 0 };
  await log.append([record, record]);
  await assert.rejects(log.append([record]), { code: 'log_full', retryAfterS: 1 });
  await assert.rejects(log.append([record, record, record]), { code: 'too_large' });
  await log.commit(0, 1);
  assert.deepEqual(await log.append([record]), [{ partition: 0, offset: 2 }]);
  const limits = { recordsMax: 9, bytesMax: 99, waitMs: 0 };
  await assert.rejects(log.read(0, 0, limits), { code: 'log_gone' });
  assert.equal((await log.read(0, 1, limits)).length, 2);
});
