/**
 * Spark as the processor, under load, while the partitions go to a processor in TypeScript and back,
 * brokers and the store are killed, and its checkpoint is lost or an old one: nothing is lost or
 * doubled.
 */
import assert from 'node:assert/strict';
import { cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ProduceAcks, Producer } from '@platformatic/kafka';
import { whyNoKafka } from '../../kafka/cluster.ts';
import { whyNoSpark } from '../../spark/cluster.ts';
import { auditCloses, sumCloses } from './load.ts';
import { SPARK_MS_MAX, type SparkStage, startSparkStage } from './spark-stage.ts';
import { PARTITIONS } from './stage.ts';

const skip = (await whyNoKafka()) ?? (await whyNoSpark()) ?? false;
const TOPIC = 'spark';
const RECORDS = 20_000;

describe('a Spark that works', { skip, timeout: SPARK_MS_MAX }, () => {
  let s: SparkStage;

  // A hook has the limit of the command, not that of its suite.
  before(
    async () => {
      s = await startSparkStage(TOPIC, RECORDS);
    },
    { timeout: SPARK_MS_MAX },
  );
  after(() => s?.close());

  /** Until the log has moved on, and all of that is processed. */
  async function more(): Promise<void> {
    s.load.begin();
    await s.load.goesOn(20);
    await s.load.end();
    await s.worksOn();
  }

  async function endsForAnother(): Promise<void> {
    s.load.begin();
    await s.load.goesOn();
    await s.processor.start();
    assert.equal(await s.spark.driver.ended(), 1);
    assert.match(
      await s.spark.driver.output(),
      /^clickstream: Other processors are members of the group spark: stop them .*, or this job\.$/m,
    );
    await s.load.goesOn(20);
  }

  /** With a backlog, and the machine for itself while it starts. */
  async function comesBack(): Promise<void> {
    await s.load.goesOn(20);
    await s.load.end();
    await s.spark.driver.start();
    await s.worksOn();
    await more();
  }

  test('a processor in TypeScript that joins ends the job, and has the partitions', async (t) => {
    await more();
    await endsForAnother();
    assert.equal(await s.processor.stop(), 0, s.processor.output());
    await comesBack();
    await s.allOnce(t, 'to TypeScript and back');
  });

  test('a processor in TypeScript that is killed leaves them to Spark', async (t) => {
    await endsForAnother();
    await s.processor.kill();
    await s.isLeft();
    await comesBack();
    await s.allOnce(t, 'to TypeScript, which was killed, and back');
  });

  test('each broker is killed', async (t) => {
    s.load.begin();
    const brokers = s.stage.kafka.nodes.filter(({ role }) => role === 'broker');
    for (const broker of brokers) {
      const other = brokers.find((one) => one !== broker) ?? broker;
      await s.load.goesOn();
      await broker.kill();
      await s.load.goesOn(20);
      await s.worksOn();
      await broker.start();
      await s.stage.untilInSync([TOPIC, '__consumer_offsets'], 2, other);
    }
    await s.allOnce(t, 'each broker was killed');
  });

  test('the store is killed', async (t) => {
    s.load.begin();
    await s.load.goesOn();
    await s.stage.server.kill();
    await s.load.goesOn(20);
    await s.stage.server.startAgain();
    await s.worksOn();
    await s.allOnce(t, 'the store was killed');
  });

  test('the checkpoint is lost, or an older copy is put back', async (t) => {
    const scratch = join(s.folder, 'scratch');
    const copy = join(s.folder, 'copy');
    await more();
    await cp(scratch, copy, { recursive: true });
    assert.equal((await readdir(copy)).length, 1);
    for (const isLost of [true, false]) {
      s.load.begin();
      await s.load.goesOn(20);
      await s.spark.driver.kill();
      await rm(scratch, { recursive: true });
      if (!isLost) await cp(copy, scratch, { recursive: true });
      await comesBack();
    }
    await s.allOnce(t, 'the checkpoint was lost, and an old one');
  });

  test('what is no event is kept with its bytes, and holds nothing up', async () => {
    const words = ['', 'no event', '{"broken":', '\u0000\u0001', '[[[[', '{"v":1}'];
    const producer = new Producer({
      clientId: 'test',
      bootstrapBrokers: s.stage.kafka.brokers.split(','),
      acks: ProduceAcks.ALL,
    });
    const messages = Array.from({ length: PARTITIONS }, (_, partition) =>
      words.map((word) => ({ topic: TOPIC, partition, value: Buffer.from(word) })),
    );
    await producer.send({ messages: messages.flat() });
    await producer.close();
    await s.worksOn();
    const kept = await s.stage.store.select<{ payload: string; rows: number }>(
      `SELECT payload, count() AS rows FROM rejected_events
       WHERE reason = 'unprocessable' GROUP BY payload ORDER BY payload`,
    );
    assert.deepEqual(
      kept,
      words.toSorted().map((payload) => ({ payload, rows: PARTITIONS })),
    );
    await sumCloses(s.query);
    await auditCloses(s.stage, TOPIC);
  });
});
