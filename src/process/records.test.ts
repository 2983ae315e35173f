/** The contract of `Records` on a real engine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { startEngine } from '../engine/start.ts';
import { createClickHouseStore } from '../store/clickhouse.ts';
import { recordsContract } from './records.contract.ts';
import { createRecords } from './records.ts';

recordsContract('engine', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'clickstream-records-'));
  const engine = await startEngine({
    folder,
    port: 0,
    memoryBytesMax: 512 * 1024 * 1024,
    readers: 2,
    logger: createLogger('silent'),
    clock: realClock,
  });
  const { name: user, password } = engine.owner;
  const store = createClickHouseStore({ url: engine.url, user, password, database: 'clickstream' });
  await store.migrate();
  return {
    records: createRecords(store),
    async close() {
      await store.close();
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
