/** The contract on the embedded engine, and what is said of one that is not as it should be. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { realClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { startEngine } from '../engine/start.ts';
import { createClickHouseStore, readServerAddress } from './clickhouse.ts';
import { storeContract } from './store.contract.ts';

async function openEngine() {
  const folder = await mkdtemp(join(tmpdir(), 'clickstream-store-'));
  const logger = createLogger('silent');
  const memoryBytesMax = 512 * 1024 * 1024;
  const engine = await startEngine({
    folder,
    port: 0,
    memoryBytesMax,
    readers: 2,
    logger,
    clock: realClock,
  });
  const { name: user, password } = engine.owner;
  const store = createClickHouseStore({ url: engine.url, user, password, database: 'clickstream' });
  return {
    store,
    engine,
    async close() {
      await store.close();
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

storeContract('engine', openEngine);

test('an engine that is killed during an insert leaves all of its rows or none', async () => {
  const { store, engine, close } = await openEngine();
  await store.command('CREATE TABLE killed (n UInt64) ENGINE = MergeTree ORDER BY n');
  const rows = Array.from({ length: 50_000 }, (_, i) => [i]);
  for (let i = 0; i < 3; i++) {
    const inserting = store.insert('killed', ['n'], rows).then(
      () => 'done',
      (error: { code: string }) => error.code,
    );
    await realClock.sleep(5 + i * 12);
    process.kill(engine.pid() ?? 0, 'SIGKILL');
    assert.match(await inserting, /^(done|store_ambiguous|store_unreachable)$/);
    while (!(await store.ping())) await realClock.sleep(10);
    const found = await store.select<{ c: number }>('SELECT count() AS c FROM killed');
    assert.equal((found[0]?.c ?? -1) % rows.length, 0);
  }
  await close();
});

test('migrating makes the database where there is none yet', async () => {
  const { store, engine, close } = await openEngine();
  const { name: user, password } = engine.owner;
  const other = createClickHouseStore({ url: engine.url, user, password, database: 'an-other' });
  // The engine has tables in one database only; a server would go on.
  await assert.rejects(other.migrate(), { code: 'store_refused' });
  const made = await store.select("SELECT name FROM system.databases WHERE name = 'an-other'");
  assert.deepEqual(made, [{ name: 'an-other' }]);
  await other.close();
  await close();
});

test('where nothing listens the store is unreachable, and nothing was sent', async () => {
  const store = createClickHouseStore({
    url: 'http://127.0.0.1:9',
    user: 'x',
    password: 'y',
    database: 'z',
  });
  assert.equal(await store.ping(), false);
  await assert.rejects(store.select('SELECT 1'), { code: 'store_unreachable' });
  await assert.rejects(store.insert('t', ['n'], [[1]]), { code: 'store_unreachable' });
  await store.close();
});

test('an address is taken apart, and its password may have any character', () => {
  assert.deepEqual(readServerAddress('http://u:p%40%2F%3A@host:8123/shop'), {
    url: 'http://host:8123',
    user: 'u',
    password: 'p@/:',
    database: 'shop',
  });
  assert.equal(readServerAddress('https://host').database, 'clickstream');
});

test('who is not let in is told so by name, and no password is', async () => {
  const { engine, close } = await openEngine();
  const password = 'not-the-password';
  const other = createClickHouseStore({
    ...{ url: engine.url, user: engine.owner.name, password, database: 'clickstream' },
  });
  const isTold = (error: Error & { code: string }): boolean => {
    assert.match(error.message, /^The store does not let the user "clickstream" in/);
    assert.ok(!inspect(error).includes(password));
    return true;
  };
  after(close);
  after(() => other.close());
  for (const work of [
    () => other.select('SELECT 1'),
    () => other.command('SELECT 1'),
    () => other.migrate(),
    () => other.insert('records', ['owner'], [[1]]),
    () => other.settle(['records']),
  ])
    await assert.rejects(work(), isTold);
  // It says nothing about the rows.
  await assert.rejects(other.insert('records', ['owner'], [[1]]), { code: 'store_ambiguous' });
});
