/**
 * A collector whose log is away, from the request to the row: it answers 202 for what is on its
 * spool, says so to operators, and every event is stored once when the log is back.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { realClock } from '../src/base/clock.ts';
import { AppError } from '../src/base/errors.ts';
import { createLogger } from '../src/base/logger.ts';
import { type Config, checkSpoolHours, readConfig } from '../src/config.ts';
import { createMemoryLog } from '../src/log/memory.ts';
import { openSource, openSpool, openStore } from '../src/open.ts';
import { createPipeline } from '../src/process/pipeline/pipeline.ts';
import { createRecords } from '../src/process/records.ts';
import { start } from '../src/start.ts';
import { createSharedLog, type SharedLog } from './shared-log.ts';
import { event, NOW_MS, openStages, record, type Stages } from './stages.ts';
import { removeFolder, temporaryFolder } from './system.ts';

const logger = createLogger('silent');
const onFatal = (error: Error): never => {
  throw error;
};

let stages: Stages;
const folders: string[] = [];
before(async () => {
  stages = await openStages();
});
after(async () => {
  await stages.close();
  for (const folder of folders) await removeFolder(folder);
});

async function newConfig(more: Record<string, string> = {}): Promise<Config> {
  const data = await temporaryFolder('spool');
  folders.push(data);
  const port = { CLICKSTREAM_PORT: '0', CLICKSTREAM_ENGINE_PORT: '0' };
  return readConfig({ CLICKSTREAM_DATA: data, ...port, ...more });
}

test('of an append whose outcome is not known, and is repeated by its sender, one event is stored', async () => {
  await stages.empty();
  const clock = { ...realClock, now: () => NOW_MS };
  const shared = createSharedLog(await stages.openLog(2));
  const log = await openSpool(await newConfig(), { clock, logger, onFatal }, shared);
  assert.ok(log !== undefined);
  // Those that are on the spool alone are the oldest.
  const events = Array.from({ length: 40 }, (_, i) =>
    event({ received_at: NOW_MS - (i < 20 ? 1_000 : 40_000) }),
  );
  shared.state = 'silent';
  await log.append(events.slice(0, 20).map(record));
  shared.state = 'away';
  await log.append(events.slice(20).map(record));
  const records = createRecords(stages.store);
  const spooled = () => log.spooled();
  const lastAudit = () => undefined;
  const pipeline = createPipeline({
    ...{ log: shared, store: stages.store, records, clock, lastAudit, spooled },
  });
  shared.state = 'here';
  // Whatever is sent on meanwhile.
  const { stored_until } = await pipeline.answer();
  assert.equal(Date.parse(stored_until), NOW_MS - 40_000);
  while (log.spooled().records > 0) await realClock.sleep(10);
  // The sender had no answer to the first ones.
  await log.append(events.slice(0, 20).map(record));
  await stages.process(log);
  const rows = await stages.store.select<{ outcome: string; rows: number; ids: number }>(
    'SELECT outcome, toUInt32(count()) AS rows, toUInt32(uniqExact(event_id)) AS ids FROM records GROUP BY outcome ORDER BY outcome',
  );
  assert.deepEqual(rows, [
    { outcome: 'stored', rows: 40, ids: 40 },
    { outcome: 'duplicate', rows: 40, ids: 20 },
  ]);
  await log.close();
});

async function startCollector(t: TestContext, config: Config, shared: SharedLog) {
  const system = await start(
    config,
    { clock: realClock, logger, onFatal, version: '0', demo: false },
    { openLog: async () => shared, openStore, openSource },
  );
  t.after(() => system.stop());
  const get = async (path: string) => {
    const response = await fetch(system.url + path);
    return { status: response.status, text: await response.text() };
  };
  const post = async (...ids: string[]) => {
    const body = JSON.stringify(ids.map((event_id) => ({ event_name: 'AWAY', event_id })));
    const url = `${system.url}/v1/events?key=shop-dev-key`;
    const response = await fetch(url, { method: 'POST', body });
    await response.arrayBuffer();
    return response;
  };
  return { ...system, get, post };
}

const countOf = async (log: SharedLog): Promise<number> => (await log.stats()).ends[0] ?? 0;

test('a collector whose log is away answers 202, says what is on its spool, and sends it on', async (t) => {
  const config = await newConfig({ CLICKSTREAM_ROLES: 'collect' });
  const shared = createSharedLog(createMemoryLog({ partitions: 1 }));
  const { get, post, stop } = await startCollector(t, config, shared);
  assert.equal((await post('before')).status, 202);
  shared.state = 'away';
  for (const id of ['a', 'b']) assert.equal((await post(id)).status, 202);
  // It takes events: nobody needs to send them elsewhere.
  assert.equal((await get('/ready')).status, 200);
  const { text } = await get('/metrics');
  assert.match(text, /^clickstream_spool_records 2$/m);
  assert.match(text, /^clickstream_spool_bytes \d{3}/m);
  assert.match(text, /^clickstream_spool_age_seconds [\d.e-]+$/m);
  assert.doesNotMatch(text, /^clickstream_log_end\{/m);
  const { spool } = JSON.parse((await get('/api/pipeline')).text) as { spool: object };
  assert.ok('records' in spool && spool.records === 2 && 'log_answers' in spool);
  assert.equal(spool.log_answers, false);

  await stop();
  const again = createSharedLog(createMemoryLog({ partitions: 1 }));
  await startCollector(t, config, again);
  while ((await countOf(again)) < 2) await realClock.sleep(10);
  assert.equal(await countOf(again), 2);
});

test('a collector whose spool takes no more answers 503 with Retry-After, and is not ready', async (t) => {
  const roles = { CLICKSTREAM_ROLES: 'collect' };
  const config = await newConfig({ ...roles, CLICKSTREAM_SPOOL_MB: '1' });
  const shared = createSharedLog(createMemoryLog({ partitions: 1 }));
  const { get, post } = await startCollector(t, config, shared);
  shared.state = 'away';
  const ids = Array.from({ length: 1_000 }, (_, i) => `${i}`);
  let answer = await post(...ids);
  while (answer.status === 202) answer = await post(...ids);
  assert.equal(answer.status, 503);
  assert.equal(answer.headers.get('retry-after'), '5');
  const ready = await get('/ready');
  assert.equal(ready.status, 503);
  assert.match(ready.text, /the spool is full/);
});

test('a log that is away and has no spool before it is said by /ready, not by a spool', async (t) => {
  const roles = { CLICKSTREAM_ROLES: 'collect' };
  const config = await newConfig({ ...roles, CLICKSTREAM_SPOOL_MB: '0' });
  const shared = createSharedLog(createMemoryLog({ partitions: 1 }));
  const { get, post } = await startCollector(t, config, shared);
  shared.state = 'away';
  assert.equal((await post('a')).status, 503);
  const ready = await get('/ready');
  assert.equal(ready.status, 503);
  assert.match(ready.text, /the log does not answer/);
  assert.ok(!(await get('/metrics')).text.includes('clickstream_spool'));
});

test('a collector begins while its log does not answer, and says so when that is another error', async (t) => {
  const config = await newConfig({ CLICKSTREAM_ROLES: 'collect' });
  const shared = createSharedLog(createMemoryLog({ partitions: 1 }));
  let code: 'log_unreachable' | 'bad_setting' | undefined = 'log_unreachable';
  const fatal: Error[] = [];
  const openLog = async () => {
    if (code !== undefined) throw new AppError(code, 'Not now.');
    return shared;
  };
  const system = await start(
    config,
    { ...{ clock: realClock, logger, version: '0', demo: false }, onFatal: (e) => fatal.push(e) },
    { openLog, openStore, openSource },
  );
  t.after(() => system.stop());
  const post = (event_id: string) =>
    fetch(`${system.url}/v1/events?key=shop-dev-key`, {
      method: 'POST',
      body: JSON.stringify({ event_name: 'EARLY', event_id }),
    });
  assert.equal((await post('a')).status, 202);
  assert.equal((await fetch(`${system.url}/ready`)).status, 200);
  code = 'bad_setting';
  while (fatal.length === 0) await realClock.sleep(10);
  assert.match(fatal[0]?.message ?? '', /Not now/);
  code = undefined;
  while ((await countOf(shared)) < 1) await realClock.sleep(10);
  // From here on it is asked itself.
  assert.equal((await post('b')).status, 202);
  assert.equal(await countOf(shared), 2);
});

test('a process that also stores does not begin without its log', async () => {
  const tools = { ...{ clock: realClock, logger, onFatal }, version: '0', demo: false };
  const openLog = () => Promise.reject(new AppError('log_unreachable', 'Not now.'));
  for (const more of [{}, { CLICKSTREAM_ROLES: 'collect', CLICKSTREAM_SPOOL_MB: '0' }]) {
    const starting = start(await newConfig(more), tools, { openLog, openStore, openSource });
    await assert.rejects(starting, { code: 'log_unreachable' });
  }
});

test('a log of its own has no spool, and neither has a process that does not collect', async () => {
  const tools = { clock: realClock, logger, onFatal };
  const own = createMemoryLog({ partitions: 1 });
  assert.equal(await openSpool(await newConfig(), tools, own), undefined);
  const config = await newConfig({ CLICKSTREAM_ROLES: 'process,query' });
  assert.equal(await openSpool(config, tools, createSharedLog(own)), undefined);
});

test('the spool must be sent on while its copies are recognised', async () => {
  const config = await newConfig({ CLICKSTREAM_WINDOW_HOURS: '12' });
  const words = /CLICKSTREAM_SPOOL_HOURS is 12 hours; it takes less than .* \(12 hours\)/;
  const shared = { ...config, CLICKSTREAM_LOG: 'kafka://broker/topic' };
  assert.throws(() => checkSpoolHours(shared), words);
  checkSpoolHours({ ...shared, CLICKSTREAM_SPOOL_HOURS: 11 });
  checkSpoolHours({ ...shared, CLICKSTREAM_SPOOL_MB: 0 });
});
