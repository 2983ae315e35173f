/**
 * A processor that is frozen while its INSERT is on its way, loses its partition to another, and
 * wakes up: nothing is doubled, nothing is missing, and it ends by itself.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/logger.ts';
import { type Engine, startEngine } from '../../src/engine/start.ts';
import { createClickHouseStore } from '../../src/store/clickhouse.ts';
import type { Store } from '../../src/store/store.ts';
import { removeFolder, type SystemProcess, startSystem, temporaryFolder } from '../system.ts';
import { type FreezingProxy, type Moment, startFreezingProxy } from './freezing-proxy.ts';
import { readProgress } from './judge.ts';
import { KEYS, post } from './sender.ts';

const MB = 1024 * 1024;
/** Several batches, so that the frozen one has more to do when it wakes up. */
const EVENTS = 400;
const BATCH_ROWS = 100;
const LOOK_AGAIN_MS = 10;

let folder: string;
let engine: Engine;
let store: Store;

before(async () => {
  folder = await temporaryFolder('freeze');
  engine = await startEngine({
    folder: join(folder, 'store'),
    port: 0,
    memoryBytesMax: 512 * MB,
    readers: 2,
    logger: createLogger('silent'),
    clock: realClock,
  });
  const { name: user, password } = engine.owner;
  store = createClickHouseStore({ url: engine.url, user, password, database: 'clickstream' });
  await store.migrate();
});

after(async () => {
  await store.close();
  await engine.close();
  await removeFolder(folder);
});

interface Stage {
  first: SystemProcess;
  proxy: FreezingProxy;
  /** Where the second processor finds a copy of the first one's log. */
  copy: string;
}

async function startProcessor(data: string, port: string): Promise<SystemProcess> {
  const { name, password } = engine.owner;
  return startSystem(data, {
    CLICKSTREAM_STORE: `http://${name}:${password}@127.0.0.1:${port}/clickstream`,
    CLICKSTREAM_ROLES: 'collect,process',
    CLICKSTREAM_KEYS: `shop:${KEYS.shop}`,
    CLICKSTREAM_BATCH_ROWS: String(BATCH_ROWS),
    CLICKSTREAM_LOG_LEVEL: 'warn',
  });
}

/** A processor with events on its log, frozen in the first INSERT of them; its log is copied. */
async function freezeAt(moment: Moment, name: string): Promise<Stage> {
  const proxy = await startFreezingProxy(engine.url);
  const data = join(folder, name);
  const first = await startProcessor(data, String(proxy.port));
  const frozen = proxy.freeze(first.child.pid ?? 0, moment);
  const events = Array.from({ length: EVENTS }, (_, i) => ({
    event_name: 'FREEZE',
    event_id: `${name}-${i}`,
  }));
  assert.equal((await post(first.url, 'shop', JSON.stringify(events)))?.status, 202);
  await frozen;
  const copy = join(folder, `${name}-copy`);
  await cp(join(data, 'log'), join(copy, 'log'), { recursive: true });
  return { first, proxy, copy };
}

async function untilStored(system: SystemProcess): Promise<void> {
  for (;;) {
    const progress = await readProgress(system.url);
    if (`${progress?.ends}` === `${progress?.committed}` && (progress?.ends[0] ?? 0) > 0) return;
    await sleep(LOOK_AGAIN_MS);
  }
}

async function takeOver({ copy }: Stage): Promise<void> {
  const second = await startProcessor(copy, new URL(engine.url).port);
  await untilStored(second);
  assert.equal(await second.stop(), 0, second.output());
}

async function countOf(name: string): Promise<{ rows: number; places: number; ids: number }> {
  const [counted] = await store.select<{ rows: number; places: number; ids: number }>(
    `SELECT count() AS rows, uniqExact(log_id, log_partition, log_offset) AS places,
       uniqExact(event_id) AS ids
     FROM records WHERE event_id LIKE {ids:String}`,
    { ids: `${name}-%` },
  );
  assert.ok(counted !== undefined);
  return counted;
}

const ONCE = { rows: EVENTS, places: EVENTS, ids: EVENTS };
const MOMENTS: Record<string, Moment> = {
  early: 'before it is sent',
  middle: 'in the middle of its body',
  late: 'before its answer arrives',
};

for (const [name, moment] of Object.entries(MOMENTS)) {
  test(`a processor frozen in an INSERT, ${moment}, adds nothing when it wakes up, and ends`, async () => {
    const stage = await freezeAt(moment, name);
    const { first, proxy } = stage;
    try {
      await takeOver(stage);
      assert.deepEqual(await countOf(name), ONCE);
      const ended = once(first.child, 'exit');
      proxy.thaw();
      const [code] = await ended;
      assert.equal(code, 1, first.output());
      assert.match(first.output(), /"code":"taken_over"/);
      assert.deepEqual(await countOf(name), ONCE);
    } finally {
      first.child.kill('SIGKILL');
      await proxy.close();
    }
  });
}

test('without the fence the same freeze doubles rows: the tests above would see it', async () => {
  await store.command('ALTER TABLE records DROP CONSTRAINT fence');
  const stage = await freezeAt('before it is sent', 'unfenced');
  const { first, proxy } = stage;
  try {
    await takeOver(stage);
    assert.deepEqual(await countOf('unfenced'), ONCE);
    proxy.thaw();
    await untilStored(first);
    const { rows, places } = await countOf('unfenced');
    assert.ok(rows > EVENTS, `${rows} rows`);
    assert.equal(places, EVENTS);
  } finally {
    first.child.kill('SIGKILL');
    await proxy.close();
  }
});
