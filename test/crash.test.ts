/**
 * kill -9 of the main process and of the engine under load, with a sender that counts only what was
 * answered 202 and sends again what was not. At the end every acknowledged event is stored once.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readUsers } from '../src/engine/users.ts';
import { createClickHouseStore } from '../src/store/clickhouse.ts';
import {
  freePort,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
  untilStored,
} from './system.ts';

const KILLS = 6;
const BATCH = 20;

interface Sender {
  /** Ids that were answered 202. */
  acknowledged: Set<string>;
  /** Resolves when what is on its way has been answered. */
  stop(): Promise<void>;
  /** Nobody answers any more. */
  giveUp(): void;
}

/** Sends batches one after the other; a batch without an answer is sent again until it has one. */
function startSender(url: string): Sender {
  const acknowledged = new Set<string>();
  let isStopped = false;
  let isGivenUp = false;
  let made = 0;
  const run = async (): Promise<void> => {
    while (!isStopped) {
      const ids = Array.from({ length: BATCH }, () => `id-${made++}`);
      const body = JSON.stringify(ids.map((event_id) => ({ event_name: 'CLICK', event_id })));
      while (!isGivenUp && !(await isTaken(url, body))) await sleep(20);
      if (isGivenUp) return;
      for (const id of ids) acknowledged.add(id);
    }
  };
  const running = run();
  return {
    acknowledged,
    async stop() {
      isStopped = true;
      await running;
    },
    giveUp() {
      isGivenUp = true;
    },
  };
}

async function isTaken(url: string, body: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/v1/events?key=shop-dev-key`, { method: 'POST', body });
    await response.arrayBuffer();
    return response.status === 202;
  } catch {
    // No answer: nobody knows whether it was taken, so it is sent again.
    return false;
  }
}

async function killEngine(system: SystemProcess): Promise<void> {
  const [, engine] = await system.pids();
  if (engine !== undefined) process.kill(engine, 'SIGKILL');
}

test('kill -9 of the system or of its engine loses and doubles nothing', async (t) => {
  const data = await temporaryFolder('crash');
  const ports = {
    CLICKSTREAM_PORT: String(await freePort()),
    CLICKSTREAM_ENGINE_PORT: String(await freePort()),
  };
  let system = await startSystem(data, ports);
  const sender = startSender(system.url);
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(200 + kill * 90);
      if (kill % 2 === 0) {
        await system.kill();
        system = await startSystem(data, ports);
      } else {
        await killEngine(system);
      }
    }
    await sender.stop();
  } catch (error) {
    sender.giveUp();
    throw error;
  }
  // In order, so that what waits on the log is stored; then what the store holds is read.
  assert.equal(await system.stop(), 0);
  system = await startSystem(data, ports);
  await untilStored(system);
  const { name: user, password } = readUsers(join(data, 'store')).owner;
  const store = createClickHouseStore({
    url: system.engineUrl,
    user,
    password,
    database: 'clickstream',
  });
  const stored = await store.select<{ event_id: string; copies: number }>(
    "SELECT event_id, count() AS copies FROM events WHERE project_id = 'shop' GROUP BY event_id",
  );
  const [sum] = await store.select<{ records: number; places: number; end: number }>(
    'SELECT count() AS records, uniqExact(log_offset) AS places, max(log_offset) + 1 AS end FROM records',
  );
  await store.close();
  assert.equal(await system.stop(), 0);
  await removeFolder(data);

  const copies = new Map(stored.map((row) => [row.event_id, row.copies]));
  const lost = [...sender.acknowledged].filter((id) => !copies.has(id));
  const doubled = [...copies].filter(([, count]) => count > 1).map(([id]) => id);
  t.diagnostic(`${sender.acknowledged.size} events acknowledged over ${KILLS} kills`);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
  assert.equal(sum?.records, sum?.places);
  assert.equal(sum?.records, sum?.end);
});
