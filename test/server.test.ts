/**
 * The contracts of the store over the network: on the engine in a process of its own, and on the
 * server that CLICKSTREAM_TEST_CLICKHOUSE_URL names, in databases that hold nothing yet.
 */
import { test } from 'node:test';
import { recordsContract } from '../src/process/records.contract.ts';
import { createRecords } from '../src/process/records.ts';
import { createClickHouseStore, readServerAddress } from '../src/store/clickhouse.ts';
import { type StoreUnderTest, storeContract } from '../src/store/store.contract.ts';
import { startEngineServer } from './engine-server.ts';

function contracts(name: string, open: (suite: string) => Promise<StoreUnderTest>): void {
  storeContract(name, () => open('store'));
  recordsContract(name, async () => {
    const { store, close } = await open('records');
    await store.migrate();
    return { records: createRecords(store), close };
  });
}

contracts('engine as a server', async () => {
  const server = await startEngineServer();
  const store = createClickHouseStore(readServerAddress(server.address));
  return {
    store,
    async close() {
      await store.close();
      await server.close();
    },
  };
});

const named = process.env.CLICKSTREAM_TEST_CLICKHOUSE_URL;
if (named === undefined) {
  test('server: the contracts', { skip: 'CLICKSTREAM_TEST_CLICKHOUSE_URL names no server' });
} else {
  contracts('server', async (suite) => {
    const { database, ...address } = readServerAddress(named);
    const own = `${database}_${suite}_${process.pid}`;
    const store = createClickHouseStore({ ...address, database: own });
    return {
      store,
      async close() {
        await store.command(`DROP DATABASE ${own}`);
        await store.close();
      },
    };
  });
}
