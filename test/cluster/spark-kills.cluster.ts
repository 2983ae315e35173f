/**
 * Spark as the processor, under load, while its driver, executors and workers are killed or frozen in
 * the middle of an INSERT: nothing is lost or doubled.
 */
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyNoKafka } from '../../kafka/cluster.ts';
import { whyNoSpark } from '../../spark/cluster.ts';
import type { Moment } from '../crash/freezing-proxy.ts';
import { MOMENTS, SPARK_MS_MAX, type SparkStage, startSparkStage } from './spark-stage.ts';
import { until } from './stage.ts';

const skip = (await whyNoKafka()) ?? (await whyNoSpark()) ?? false;
const RECORDS = 1_000;
const RANDOM_KILLS = 2;
const RANDOM_MS_MAX = 500;

describe('a Spark that is killed', { skip, timeout: SPARK_MS_MAX }, () => {
  let s: SparkStage;

  // A hook has the limit of the command, not that of its suite.
  before(
    async () => {
      s = await startSparkStage('spark-kills', RECORDS);
    },
    { timeout: SPARK_MS_MAX },
  );
  after(() => s?.close());

  const twoExecutors = () => until(async () => (await s.spark.executors()).length === 2);
  const isGone = (pid: number) => until(async () => !(await s.spark.executors()).includes(pid));

  async function killExecutor(pid: number): Promise<void> {
    process.kill(pid, 'SIGKILL');
    await isGone(pid);
  }

  /**
   * Under load an executor is caught in an INSERT and the fault happens; what it has sent arrives
   * when others have gone on, and then there is work for all of them again.
   */
  async function late(moment: Moment, fault: (executor: number) => Promise<void>): Promise<void> {
    await twoExecutors();
    s.load.begin();
    await s.load.goesOn();
    const executor = await s.caught(moment);
    await s.load.goesOn();
    // What starts now has the machine for itself.
    await s.load.end();
    await fault(executor);
    await s.worksOn();
    s.letGo();
    s.load.begin();
    await s.load.goesOn(20);
    await s.load.end();
  }

  test('an executor that is frozen in an INSERT adds nothing when it goes on', async (t) => {
    for (const moment of MOMENTS) {
      const began = performance.now();
      await late(moment, async () => undefined);
      t.diagnostic(`${moment}: ${Math.round(performance.now() - began)} ms`);
    }
    await s.allOnce(t, `executors were frozen ${MOMENTS.length} times`);
  });

  test('an executor is killed in an INSERT, which comes later', async (t) => {
    for (const moment of MOMENTS) await late(moment, killExecutor);
    await s.allOnce(t, `${MOMENTS.length} executors were killed`);
  });

  test('each worker is killed, and its executor in an INSERT or not', async (t) => {
    for (const worker of s.spark.workers)
      await late('before its answer arrives', async (executor) => {
        await worker.kill();
        // One that is frozen does not see that its worker is gone.
        await killExecutor(executor);
        await worker.start();
      });
    await s.allOnce(t, 'each worker was killed');
  });

  test('the driver is killed while an executor is in an INSERT, which comes later', async (t) => {
    for (const moment of MOMENTS)
      await late(moment, async (executor) => {
        await s.spark.driver.kill();
        // Its worker would end it after a while.
        await killExecutor(executor);
        await s.spark.driver.start();
      });
    await s.allOnce(t, `the driver was killed ${MOMENTS.length} times`);
  });

  test('the driver is killed at any moment', async (t) => {
    for (let i = 0; i < RANDOM_KILLS; i++) {
      s.load.begin();
      await s.load.goesOn();
      await sleep(s.random.whole(0, RANDOM_MS_MAX));
      await s.spark.driver.kill();
      await s.load.end();
      await s.spark.driver.start();
    }
    await s.allOnce(t, `the driver was killed ${RANDOM_KILLS} times`);
  });

  test('a processor in TypeScript was killed in a large INSERT, which comes when Spark has begun', async (t) => {
    const before = await s.ends();
    await s.spark.driver.kill();
    s.load.begin();
    // Much more than Spark takes at a time.
    await until(async () => {
      const ends = await s.ends();
      return ends.every((end, i) => end > (before[i] ?? 0) + RECORDS);
    });
    await s.load.end();
    const caught = s.caught('before it is sent', s.processor);
    // It may be ready before it inserts, or not.
    const starting = Promise.allSettled([s.processor.start()]);
    await caught;
    await s.processor.kill();
    await starting;
    await s.isLeft();
    await s.spark.driver.start();
    s.letGo();
    await s.allOnce(t, 'a processor in TypeScript was killed');
  });
});
