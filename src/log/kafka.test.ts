/** The contract of the log on a real broker, and what only a log that is shared can be. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Admin, ConfigResourceTypes, Producer } from '@platformatic/kafka';
import { type KafkaCluster, startKafka, whyNoKafka } from '../../kafka/cluster.ts';
import { realClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { createLogger } from '../base/logger.ts';
import { readKafkaAddress } from './kafka/address.ts';
import { type KafkaLogOptions, openKafkaLog } from './kafka.ts';
import { logContract } from './log.contract.ts';
import type { Log, NewRecord } from './log.ts';

const why = await whyNoKafka();
const skip = why ?? false;
/** Where a setting comes from: the topic itself. */
const TOPIC_CONFIG = 1;

describe('Kafka', { skip }, () => {
  let folder: string;
  let kafka: KafkaCluster;
  let admin: Admin;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clickstream-kafka-'));
    kafka = await startKafka({ folder, layout: 'single' });
    admin = new Admin({ clientId: 'test', bootstrapBrokers: kafka.brokers.split(',') });
  });
  after(async () => {
    await admin.close();
    await kafka.close();
    await rm(folder, { recursive: true, force: true });
  });

  const newTopic = () => `topic-${randomUUID()}`;

  function open(topic: string, query = '', more: Partial<KafkaLogOptions> = {}): Promise<Log> {
    const address = `kafka://${kafka.brokers}/${topic}?group=${topic}${query}`;
    return openKafkaLog({
      address: readKafkaAddress(address, 'CLICKSTREAM_LOG', ''),
      isForeign: false,
      keepMs: 3_600_000,
      ackMsMax: 5_000,
      sessionMs: 2_000,
      bytesInFlightMax: 64 * 1024 * 1024,
      clock: realClock,
      logger: createLogger('silent'),
      onFatal(error) {
        throw error;
      },
      ...more,
    });
  }

  const openBoth = (topic: string, partitions: number): Promise<Log[]> =>
    Promise.all([1, 2].map(() => open(topic, `&partitions=${partitions}`)));

  const record = (key: string): NewRecord => ({ key, bytes: Buffer.from(key), timeMs: 1_000 });
  const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`);

  logContract('the log on Kafka', async ({ partitions, clock = realClock }) => {
    const topic = newTopic();
    const query = `&partitions=${partitions}`;
    // With a clock that stands still nobody waits for a topic that is being made.
    await (await open(topic, query)).close();
    let log = await open(topic, query, { clock });
    return {
      log,
      reopen: async () => {
        await log.close();
        log = await open(topic, query, { clock });
        return log;
      },
      remove: () => log.close(),
    };
  });

  /** A member of the group that notes what it has. */
  function enter(log: Log) {
    const leaving = new AbortController();
    const mine = new Set<number>();
    const changed: (() => void)[] = [];
    const owning = log.own(leaving.signal, async (partition, owned) => {
      mine.add(partition);
      for (const tell of changed.splice(0)) tell();
      await new Promise<void>((ended) => owned.addEventListener('abort', () => ended()));
      mine.delete(partition);
      for (const tell of changed.splice(0)) tell();
    });
    return {
      mine,
      async until(isSo: () => boolean): Promise<void> {
        while (!isSo()) await new Promise<void>((tell) => changed.push(tell));
      },
      async leave(): Promise<void> {
        leaving.abort();
        await owning;
      },
    };
  }

  test('members share the partitions, keep what is theirs, and get what another one leaves', async () => {
    const topic = newTopic();
    const logs = await Promise.all([1, 2, 3].map(() => open(topic, '&partitions=6')));
    const [a, b, c] = logs as [Log, Log, Log];
    const first = enter(a);
    await first.until(() => first.mine.size === 6);
    const second = enter(b);
    await first.until(() => first.mine.size === 3);
    await second.until(() => second.mine.size === 3);
    const kept = [...first.mine];
    assert.equal(new Set([...first.mine, ...second.mine]).size, 6);
    const third = enter(c);
    await third.until(() => third.mine.size === 2);
    await first.until(() => first.mine.size === 2);
    assert.ok([...first.mine].every((partition) => kept.includes(partition)));
    await second.leave();
    await first.until(() => first.mine.size === 3);
    await third.until(() => third.mine.size === 3);
    await Promise.all([first.leave(), third.leave()]);
    for (const log of logs) await log.close();
  });

  test('who has lost a partition commits nothing, and who has it does', async () => {
    const topic = newTopic();
    const [a, b] = (await openBoth(topic, 2)) as [Log, Log];
    await a.append(keys.map(record));
    const first = enter(a);
    await first.until(() => first.mine.size === 2);
    await a.commit(0, 1, 'first');
    const second = enter(b);
    await second.until(() => second.mine.size === 1);
    const [lost = -1] = second.mine;
    await first.until(() => !first.mine.has(lost));
    await assert.rejects(a.commit(lost, 1, 'late'), { code: 'taken_over' });
    await b.commit(lost, 2, 'second');
    assert.deepEqual(await a.committed(lost), { offset: 2, note: 'second' });
    // Of what it has kept, in a generation that is not the one of before.
    await a.commit(1 - lost, 3, 'third');
    assert.equal((await b.stats()).committed[1 - lost], 3);
    await Promise.all([first.leave(), second.leave()]);
    for (const log of [a, b]) await log.close();
  });

  test('nobody commits beside the members of the group', async () => {
    const topic = newTopic();
    const [a, b] = (await openBoth(topic, 1)) as [Log, Log];
    await a.append([record('x')]);
    const first = enter(a);
    await first.until(() => first.mine.size === 1);
    await assert.rejects(b.commit(0, 1), { code: 'taken_over' });
    await first.leave();
    await b.commit(0, 1);
    for (const log of [a, b]) await log.close();
  });

  test('a committed offset that was set back is committed from again', async () => {
    const topic = newTopic();
    const log = await open(topic, '&partitions=1');
    await log.append(keys.slice(0, 3).map(record));
    await log.commit(0, 3, 'third');
    const partitionOffsets = [{ partition: 0, offset: 1n }];
    await admin.alterConsumerGroupOffsets({
      groupId: topic,
      topics: [{ name: topic, partitionOffsets }],
    });
    assert.equal((await log.committed(0)).offset, 1);
    await log.commit(0, 2, 'second');
    assert.deepEqual(await log.committed(0), { offset: 2, note: 'second' });
    await log.close();
  });

  test('a topic that was deleted and made again is noticed, and is a new log', async () => {
    const topic = newTopic();
    const failed = Promise.withResolvers<Error>();
    const log = await open(topic, '&partitions=1', { onFatal: failed.resolve });
    await log.append([record('x'), record('y')]);
    await log.commit(0, 2, 'of the old one');
    await admin.deleteTopics({ topics: [topic] });
    const again = await openWhenGone(topic, log.id);
    assert.equal(again.partitions, 1);
    assert.deepEqual(await again.committed(0), { offset: 0, note: '' });
    await assert.rejects(
      async () => {
        await log.read(0, 0, { recordsMax: 1, bytesMax: 1, waitMs: 0 });
      },
      { code: 'log_changed' },
    );
    assert.ok((await failed.promise) instanceof AppError);
    await assert.rejects(log.append([record('z')]), { code: 'log_changed' });
    await log.close();
    await again.close();
  });

  /** The brokers may still know the old one for a moment. */
  async function openWhenGone(topic: string, oldId: string): Promise<Log> {
    for (;;) {
      const log = await open(topic, '&partitions=1').catch(() => undefined);
      if (log !== undefined && log.id !== oldId) return log;
      await log?.close();
      await realClock.sleep(50);
    }
  }

  test('a topic that gets more partitions is refused from then on', async () => {
    const topic = newTopic();
    const failed = Promise.withResolvers<Error>();
    const log = await open(topic, '&partitions=1', { onFatal: failed.resolve });
    const broker = kafka.nodes[0]?.id ?? 0;
    await admin.createPartitions({
      topics: [{ name: topic, count: 2, assignments: [{ brokerIds: [broker] }] }],
    });
    assert.match((await failed.promise).message, /has 2 partitions now, and had 1/);
    await log.close();
    await assert.rejects(open(topic, '&partitions=1'), { code: 'bad_setting' });
  });

  test('a topic that forgets records by itself is refused', async () => {
    const topic = newTopic();
    const configs = [{ name: 'cleanup.policy', value: 'compact' }];
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs });
    await assert.rejects(open(topic), /cleanup\.policy=compact; as a log it needs delete/);
  });

  test('a topic that is made keeps everything, whatever the brokers do with others', async () => {
    const topic = newTopic();
    await (await open(topic)).close();
    const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }];
    const [described] = await admin.describeConfigs({ resources });
    const own = described?.configs.filter(({ configSource }) => configSource === TOPIC_CONFIG);
    const settings = new Map(own?.map(({ name, value }) => [name, value]));
    for (const name of ['retention.ms', 'retention.bytes']) assert.equal(settings.get(name), '-1');
  });

  test('a topic that takes less at once refuses what is larger, and takes the rest', async () => {
    const topic = newTopic();
    const configs = [{ name: 'max.message.bytes', value: '5000' }];
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs });
    const log = await open(topic);
    const of = (bytes: number): NewRecord => ({ ...record('x'), bytes: new Uint8Array(bytes) });
    await assert.rejects(log.append([of(5_000)]), { code: 'too_large' });
    // Each of them fits, and all at once do not.
    await Promise.all([1, 2, 3, 4].map(() => log.append([of(3_000)])));
    assert.deepEqual((await log.stats()).ends, [4]);
    await log.close();
  });

  test('records may lie in the future: a collector with a wrong clock is no reason to lose them', async () => {
    const log = await open(newTopic(), '&partitions=1');
    const timeMs = realClock.now() + 10 * 365 * 86_400_000;
    await log.append([{ ...record('x'), timeMs }]);
    const [read] = await log.read(0, 0, { recordsMax: 1, bytesMax: 1, waitMs: 0 });
    assert.equal(read?.timeMs, timeMs);
    await log.close();
  });

  test('of a topic that others fill, gaps are passed and what was taken back is not read', async () => {
    const topic = newTopic();
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
    const producer = new Producer({
      clientId: 'test',
      bootstrapBrokers: kafka.brokers.split(','),
      transactionalId: topic,
      idempotent: true,
    });
    const send = async (text: string, end: 'commit' | 'abort') => {
      const transaction = await producer.beginTransaction();
      const messages = [{ topic, partition: 0, value: Buffer.from(text) }];
      await transaction.send({ messages });
      await transaction[end]();
    };
    await send('kept', 'commit');
    await send('taken back', 'abort');
    await send('kept too', 'commit');
    await producer.close();
    const log = await open(topic, '', { isForeign: true });
    const all = { recordsMax: 9, bytesMax: 1_000, waitMs: 0 };
    const texts = (records: Awaited<ReturnType<Log['read']>>) =>
      records.map(({ offset, bytes }) => `${offset} ${Buffer.from(bytes).toString()}`);
    assert.deepEqual(texts(await log.read(0, 0, all)), ['0 kept', '4 kept too']);
    assert.deepEqual(texts(await log.read(0, 1, all)), ['4 kept too']);
    await log.commit(0, 5);
    assert.deepEqual(await log.committed(0), { offset: 5, note: '' });
    await log.close();
  });

  test('an append that no broker answers ends in time, and says so', async () => {
    const topic = newTopic();
    const log = await open(topic, '&partitions=1', { ackMsMax: 1_000 });
    await log.append([record('before')]);
    const [node] = kafka.nodes;
    await node?.kill();
    try {
      await assert.rejects(log.append([record('x')]), { code: 'log_unreachable', retryAfterS: 1 });
    } finally {
      await node?.start();
    }
    await appendAtLast(log, record('y'));
    const records = await log.read(0, 0, { recordsMax: 9, bytesMax: 99, waitMs: 0 });
    const texts = records.map(({ bytes }) => Buffer.from(bytes).toString());
    // Whether the one in the middle is there is not known to who sent it.
    assert.deepEqual([texts[0], texts.at(-1)], ['before', 'y']);
    await log.close();
  });

  async function appendAtLast(log: Log, record: NewRecord): Promise<void> {
    for (;;) {
      try {
        await log.append([record]);
        return;
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'log_unreachable') throw error;
      }
    }
  }
});
