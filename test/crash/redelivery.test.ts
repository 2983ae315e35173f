/**
 * The same request again, inside one request, in another, after a restart and after kills: the same
 * answer each time, and each event stored once.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readUsers } from '../../src/engine/users.ts';
import { createClickHouseStore } from '../../src/store/clickhouse.ts';
import {
  freePort,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
} from '../system.ts';
import { readProgress, storeFolderOf } from './judge.ts';
import { KEYS, post } from './sender.ts';

const ODD_ID = 'id with "quotes", ünï and \\ in it';
const IDS = ['again-1', 'again-2', ODD_ID, 'Again-1'];
const EVENTS = IDS.map((event_id) => ({ event_name: 'AGAIN', event_id, session_id: 's' }));
const WRONG = { event_id: 'wrong-1' };
const REQUEST = JSON.stringify([...EVENTS, WRONG]);
const ANSWER = {
  accepted: EVENTS.length,
  rejected: [{ index: EVENTS.length, reason: 'missing', field: 'event_name' }],
};
const TWICE = JSON.stringify([...EVENTS, ...EVENTS]);
const LOOK_AGAIN_MS = 10;

async function isAnsweredAlike(system: SystemProcess, project = 'shop'): Promise<void> {
  const answer = await post(system.url, project, REQUEST);
  assert.deepEqual([answer?.status, answer?.taken], [202, ANSWER]);
}

async function untilStored({ url }: SystemProcess): Promise<void> {
  for (;;) {
    const progress = await readProgress(url);
    if (progress !== undefined && `${progress.ends}` === `${progress.committed}`) return;
    await sleep(LOOK_AGAIN_MS);
  }
}

test('the same request is answered alike however often it comes, and stored once', async (t) => {
  const data = await temporaryFolder('redelivery');
  const environment = {
    CLICKSTREAM_PORT: String(await freePort()),
    CLICKSTREAM_ENGINE_PORT: String(await freePort()),
    CLICKSTREAM_LOG: 'file:log?partitions=2',
    CLICKSTREAM_KEYS: Object.entries(KEYS)
      .map(([project, key]) => `${project}:${key}`)
      .join(),
    CLICKSTREAM_LOG_LEVEL: 'warn',
  };
  let system = await startSystem(data, environment);
  t.after(async () => {
    system.child.kill('SIGKILL');
    await removeFolder(data);
  });
  let requests = 0;
  const again = async (): Promise<void> => {
    await isAnsweredAlike(system);
    requests += 1;
  };

  await again();
  await again();
  await Promise.all([again(), again(), again()]);
  const twice = await post(system.url, 'shop', TWICE);
  assert.deepEqual([twice?.status, twice?.taken.accepted], [202, 2 * EVENTS.length]);
  // The ids of another project are other ids.
  await isAnsweredAlike(system, 'news');

  assert.equal(await system.stop(), 0);
  system = await startSystem(data, environment);
  await again();
  // Killed with the last copies on the log, and perhaps not in the store.
  await system.kill();
  system = await startSystem(data, environment);
  await again();
  const [, engine] = await system.pids();
  process.kill(engine ?? 0, 'SIGKILL');
  await again();
  await untilStored(system);

  const { name: user, password } = readUsers(storeFolderOf(data)).owner;
  const store = createClickHouseStore({
    url: system.engineUrl,
    user,
    password,
    database: 'clickstream',
  });
  const rows = await store.select<{ id: string; outcome: string; copies: number }>(
    `SELECT concat(project_id, ' ', event_id) AS id, CAST(outcome, 'String') AS outcome, count() AS copies
     FROM records WHERE project_id != 'self-check' GROUP BY id, outcome`,
  );
  await store.close();
  const sorted = (list: readonly object[]): string[] =>
    list.map((row) => JSON.stringify(row)).sort();
  assert.deepEqual(
    sorted(rows),
    sorted([
      ...IDS.flatMap((id) => [
        { id: `shop ${id}`, outcome: 'stored', copies: 1 },
        { id: `shop ${id}`, outcome: 'duplicate', copies: requests - 1 + 2 },
        { id: `news ${id}`, outcome: 'stored', copies: 1 },
      ]),
      // Nothing is stored of it, so that it may come again, mended; each copy is kept with its reason.
      { id: 'shop wrong-1', outcome: 'rejected', copies: requests },
      { id: 'news wrong-1', outcome: 'rejected', copies: 1 },
    ]),
  );
  assert.equal(await system.stop(), 0);
});
