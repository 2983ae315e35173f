/**
 * A place on the log is unique for ever: when a log folder is deleted, put back, or opened with
 * another number of partitions, no event is taken for another. Each case is right, or refused.
 */
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readUsers } from '../../src/engine/users.ts';
import { createClickHouseStore } from '../../src/store/clickhouse.ts';
import { removeFolder, type SystemProcess, startSystem, temporaryFolder } from '../system.ts';
import { readProgress, storeFolderOf } from './judge.ts';
import { KEYS, post } from './sender.ts';

const ENVIRONMENT = { CLICKSTREAM_KEYS: `shop:${KEYS.shop}`, CLICKSTREAM_LOG_LEVEL: 'warn' };
const LOOK_AGAIN_MS = 10;

const started: SystemProcess[] = [];

async function start(data: string, partitions = 1): Promise<SystemProcess> {
  const log = `file:log?partitions=${partitions}`;
  const system = await startSystem(data, { ...ENVIRONMENT, CLICKSTREAM_LOG: log });
  started.push(system);
  return system;
}

async function send(system: SystemProcess, ids: readonly string[]): Promise<number | undefined> {
  const events = ids.map((event_id) => ({ event_name: 'PLACE', event_id }));
  return (await post(system.url, 'shop', JSON.stringify(events)))?.status;
}

interface Kept {
  event_id: string;
  outcomes: string[];
}

/** What became of each id, after everything on the log has been stored. */
async function outcomesOf(system: SystemProcess): Promise<Kept[]> {
  for (;;) {
    const progress = await readProgress(system.url);
    if (progress !== undefined && `${progress.ends}` === `${progress.committed}`) break;
    await sleep(LOOK_AGAIN_MS);
  }
  const { name: user, password } = readUsers(storeFolderOf(system.data)).owner;
  const store = createClickHouseStore({
    url: system.engineUrl,
    user,
    password,
    database: 'clickstream',
  });
  const kept = await store.select<Kept>(
    `SELECT event_id, arraySort(groupArray(CAST(outcome, 'String'))) AS outcomes
     FROM records WHERE project_id = 'shop' GROUP BY event_id ORDER BY event_id`,
  );
  await store.close();
  return kept;
}

const ids = (name: string): string[] => Array.from({ length: 5 }, (_, i) => `${name}-${i}`);
const onceEach = (name: string): Kept[] =>
  ids(name).map((event_id) => ({ event_id, outcomes: ['stored'] }));

async function inFolder(work: (data: string) => Promise<void>): Promise<void> {
  const data = await temporaryFolder('places');
  try {
    await work(data);
  } finally {
    for (const { child } of started.splice(0)) child.kill('SIGKILL');
    await removeFolder(data);
  }
}

async function stopped(system: SystemProcess): Promise<void> {
  assert.equal(await system.stop(), 0, system.output());
}

test('a log that is begun anew takes new events at old offsets, and knows repeated ids', () =>
  inFolder(async (data) => {
    let system = await start(data);
    assert.equal(await send(system, ids('old')), 202);
    await stopped(system);
    await rm(join(data, 'log'), { recursive: true });
    system = await start(data);
    assert.equal(await send(system, ids('new')), 202);
    assert.equal(await send(system, ids('old')), 202);
    const repeated = ids('old').map((event_id) => ({
      event_id,
      outcomes: ['duplicate', 'stored'],
    }));
    assert.deepEqual(await outcomesOf(system), [...onceEach('new'), ...repeated]);
    await stopped(system);
  }));

test('a new log may have another number of partitions', () =>
  inFolder(async (data) => {
    let system = await start(data);
    assert.equal(await send(system, ids('old')), 202);
    await stopped(system);
    await rm(join(data, 'log'), { recursive: true });
    system = await start(data, 3);
    assert.equal(await send(system, [...ids('new'), ...ids('new')]), 202);
    const repeated = ids('new').map((event_id) => ({
      event_id,
      outcomes: ['duplicate', 'stored'],
    }));
    assert.deepEqual(await outcomesOf(system), [...repeated, ...onceEach('old')]);
    await stopped(system);
  }));

test('another number of partitions is refused in one sentence, and nothing is changed', () =>
  inFolder(async (data) => {
    let system = await start(data);
    assert.equal(await send(system, ids('old')), 202);
    await stopped(system);
    await assert.rejects(start(data, 2), (error: Error) => {
      const [, ...lines] = error.message.trim().split('\n');
      assert.deepEqual(lines.length, 1, error.message);
      assert.match(lines[0] ?? '', /has 1 partitions, not 2: set \?partitions=1, .*bad_setting/);
      return true;
    });
    system = await start(data);
    assert.equal(await send(system, ids('more')), 202);
    assert.deepEqual(await outcomesOf(system), [...onceEach('more'), ...onceEach('old')]);
    await stopped(system);
  }));

test('an older copy of the log folder is refused, and the newest one put back is right', () =>
  inFolder(async (data) => {
    const log = join(data, 'log');
    let system = await start(data);
    assert.equal(await send(system, ids('first')), 202);
    await stopped(system);
    await cp(log, join(data, 'older'), { recursive: true });
    system = await start(data);
    assert.equal(await send(system, ids('second')), 202);
    await stopped(system);
    await cp(log, join(data, 'newest'), { recursive: true });

    await rm(log, { recursive: true });
    await cp(join(data, 'older'), log, { recursive: true });
    await assert.rejects(start(data), (error: Error) => {
      const [, ...lines] = error.message.trim().split('\n');
      assert.equal(lines.length, 1, error.message);
      assert.match(lines[0] ?? '', /an older copy\. Put back the newest one, .*\(log_corrupt\)/);
      return true;
    });

    await rm(log, { recursive: true });
    await cp(join(data, 'newest'), log, { recursive: true });
    system = await start(data);
    assert.deepEqual(await outcomesOf(system), [...onceEach('first'), ...onceEach('second')]);
    await stopped(system);
  }));

test('an older copy of the log folder that is found meanwhile takes no event', () =>
  inFolder(async (data) => {
    const log = join(data, 'log');
    let system = await start(data);
    assert.equal(await send(system, ids('first')), 202);
    await stopped(system);
    await cp(log, join(data, 'older'), { recursive: true });
    system = await start(data);
    assert.equal(await send(system, ids('second')), 202);
    await stopped(system);
    await rm(log, { recursive: true });
    await cp(join(data, 'older'), log, { recursive: true });

    // Whoever sends while it starts is not told 202 by a log that is about to be refused.
    const url = new URL(system.url);
    let isRefused = false;
    const refused = startSystem(data, { ...ENVIRONMENT, CLICKSTREAM_PORT: url.port }).then(
      (started) => assert.fail(`it started: ${started.output()}`),
      () => {
        isRefused = true;
      },
    );
    const answers: (number | undefined)[] = [];
    for (let i = 0; !isRefused; i++) {
      const answer = await post(system.url, 'shop', `{"event_name":"LATE","event_id":"late-${i}"}`);
      if (answer !== undefined) answers.push(answer.status);
      await sleep(1);
    }
    await refused;
    assert.deepEqual(
      answers.filter((status) => status === 202),
      [],
    );
  }));
