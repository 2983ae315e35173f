/** The source of a running system: when it is opened, whose its events are, how it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { realClock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import { createLogger } from './base/logger.ts';
import { createMetrics } from './base/metrics.ts';
import { readConfig } from './config.ts';
import { decodeRecord } from './event/wire.ts';
import type { Log } from './log/log.ts';
import { createMemoryLog } from './log/memory.ts';
import { openLater } from './open-later.ts';
import { startSource } from './start-source.ts';

const SOURCE = { CLICKSTREAM_SOURCE: 'kafka://a:9092,b:9093/ecommerce_clickstream_data' };
const away = () => new AppError('log_unreachable', 'It does not answer.');

interface SetUp {
  environment?: Record<string, string>;
  log?: Log;
  open: () => Promise<Log>;
}

function setUp({ environment = {}, log = createMemoryLog({ partitions: 1 }), open }: SetUp) {
  const faults: Error[] = [];
  const waits: number[] = [];
  const started = startSource({
    config: readConfig({ ...SOURCE, ...environment }),
    clock: {
      ...realClock,
      async sleep(ms, signal) {
        waits.push(ms);
        // What a stop waits for is not cut short.
        await realClock.sleep(ms === 500 ? ms : 1, signal);
      },
    },
    logger: createLogger('silent'),
    onFatal: (error) => faults.push(error),
    log,
    steps: [
      () => (event) => {
        event.event_time ??= event.received_at;
        event.session_id ??= 's';
        event.visitor_id ??= 'v';
        return undefined;
      },
    ],
    metrics: createMetrics(),
    openSource: open,
  });
  const read = async () => {
    const [first] = await log.read(0, 0, { recordsMax: 1, bytesMax: 1e6, waitMs: 5_000 });
    assert.ok(first);
    return decodeRecord(first.bytes);
  };
  return { started, faults, waits, read };
}

async function withEvent(): Promise<Log> {
  const source = createMemoryLog({ partitions: 1 });
  const bytes = Buffer.from('{"event_name":"x","event_id":"1"}');
  await source.append([{ key: '', bytes, timeMs: realClock.now() }]);
  return source;
}

test('without the setting nothing is opened', async () => {
  const open = () => Promise.reject(new Error('opened'));
  const { started } = setUp({ environment: { CLICKSTREAM_SOURCE: '' }, open });
  await (await started)();
});

for (const [title, environment, project] of [
  ['the first of the keys', { CLICKSTREAM_KEYS: 'web:12345678,app:87654321' }, 'web'],
  ['the one of the demo where there are no keys', {}, 'shop'],
  [
    'the one that the setting names',
    { CLICKSTREAM_KEYS: 'web:12345678,app:87654321', CLICKSTREAM_SOURCE_PROJECT: 'app' },
    'app',
  ],
] as const) {
  test(`the project of its events is ${title}`, async () => {
    const { started, read, faults } = setUp({ environment, open: withEvent });
    const stop = await started;
    const record = await read();
    assert.equal('event' in record && record.event.project_id, project);
    await stop();
    assert.deepEqual(faults, []);
  });
}

test('a project that no key names is refused, and so is what is no topic of Kafka', () => {
  assert.throws(() => readConfig({ ...SOURCE, CLICKSTREAM_SOURCE_PROJECT: 'sohp' }), {
    code: 'bad_setting',
    message: /"sohp", which no key .* one of shop/,
  });
  assert.throws(() => readConfig({ CLICKSTREAM_SOURCE: 'a:1/t' }), { code: 'bad_setting' });
});

test('a source that does not answer does not hold up the start, and is asked until it does', async () => {
  const source = await withEvent();
  let left = 3;
  const open = () => (left-- > 0 ? Promise.reject(away()) : Promise.resolve(source));
  const { started, read, waits } = setUp({ open });
  const stop = await started;
  assert.ok(left > 0);
  assert.ok('event' in (await read()));
  assert.deepEqual(waits.slice(1, 4), [250, 500, 1_000]);
  await stop();
});

test('a source that takes long to open does not hold up the start either', async () => {
  const opening = Promise.withResolvers<Log>();
  const { started, read, faults } = setUp({ open: () => opening.promise });
  const stop = await started;
  opening.resolve(await withEvent());
  assert.ok('event' in (await read()));
  await stop();
  assert.deepEqual(faults, []);
});

test('a stop ends the waiting for a source that never answers', async () => {
  const { started, faults } = setUp({ open: () => Promise.reject(away()) });
  await (await started)();
  assert.deepEqual(faults, []);
});

test('what waiting would not change refuses the start, and later ends the process', async () => {
  const broken = new AppError('bad_setting', 'There is no such topic.');
  await assert.rejects(setUp({ open: () => Promise.reject(broken) }).started, broken);
  const source = await withEvent();
  const changed = new AppError('log_changed', 'It is another topic by now.');
  const open = async (): Promise<Log> => ({ ...source, read: () => Promise.reject(changed) });
  const { started, faults } = setUp({ open });
  const stop = await started;
  while (faults.length === 0) await realClock.sleep(1);
  assert.deepEqual(faults, [changed]);
  await stop();
});

test('a collector that has begun without its log opens the source when the log answers', async () => {
  const answering = createMemoryLog({ partitions: 1 });
  let left = 3;
  const later = openLater(
    async () => (left-- > 0 ? Promise.reject(away()) : answering),
    (error) => assert.fail(error),
  );
  const source = await withEvent();
  const { started, faults } = setUp({ log: later, open: async () => source });
  const stop = await started;
  const [first] = await answering.read(0, 0, { recordsMax: 1, bytesMax: 1e6, waitMs: 5_000 });
  assert.ok(first);
  assert.deepEqual(faults, []);
  await stop();
});

test('the topic of our own log is refused: each event would come again for ever', async () => {
  const log = createMemoryLog({ partitions: 1 });
  let isClosed = false;
  const open = async (): Promise<Log> => ({
    ...log,
    async close() {
      isClosed = true;
    },
  });
  await assert.rejects(setUp({ log, open }).started, { code: 'bad_setting', message: /for ever/ });
  assert.ok(isClosed);
});

test('a stop lets the batch under way end, then closes the source', async () => {
  const steps: string[] = [];
  const appending = Promise.withResolvers<void>();
  const inner = createMemoryLog({ partitions: 1 });
  const log: Log = {
    ...inner,
    async append(records) {
      appending.resolve();
      await new Promise((resolve) => setImmediate(resolve));
      steps.push('appended');
      return inner.append(records);
    },
  };
  const source = await withEvent();
  const open = async (): Promise<Log> => ({
    ...source,
    async commit(...of) {
      steps.push('committed');
      await source.commit(...of);
    },
    async close() {
      steps.push('closed');
    },
  });
  const { started } = setUp({ log, open });
  const stop = await started;
  await appending.promise;
  await stop();
  assert.deepEqual(steps, ['appended', 'committed', 'closed']);
});
