/**
 * A real Spark that is started, loses processes and is stopped: what comes back, and that nothing is
 * left. What the job does with events is tested elsewhere.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Admin } from '@platformatic/kafka';
import { type KafkaCluster, startKafka, whyNoKafka } from '../../kafka/cluster.ts';
import { type SparkCluster, startSpark, whyNoSpark } from '../../spark/cluster.ts';
import { createClickHouseStore, readServerAddress } from '../../src/store/clickhouse.ts';
import { type EngineServer, startEngineServer } from '../engine-server.ts';
import { removeFolder, temporaryFolder } from '../system.ts';
import { until } from './stage.ts';

const skip = (await whyNoKafka()) ?? (await whyNoSpark()) ?? false;
const START_MS_MAX = 600_000;

describe('a real Spark', { skip, timeout: 900_000 }, () => {
  let folder: string;
  let kafka: KafkaCluster | undefined;
  let server: EngineServer | undefined;
  let spark: SparkCluster;
  const said: string[] = [];

  before(
    async () => {
      folder = await temporaryFolder('spark start');
      kafka = await startKafka({ folder: join(folder, 'kafka'), layout: 'single' });
      const admin = new Admin({ clientId: 'test', bootstrapBrokers: kafka.brokers.split(',') });
      await admin.createTopics({ topics: ['clicks'], partitions: 2, replicas: 1 });
      await admin.close();
      server = await startEngineServer();
      const store = createClickHouseStore(readServerAddress(server.address));
      await store.migrate();
      await store.close();
      spark = await startSpark({
        folder: join(folder, 'spark'),
        environment: {
          CLICKSTREAM_LOG: `kafka://${kafka.brokers}/clicks`,
          CLICKSTREAM_STORE: server.address,
        },
        progress: (text) => said.push(text),
      });
    },
    { timeout: START_MS_MAX },
  );
  after(async () => {
    await spark?.close();
    await server?.close();
    await kafka?.close();
    await removeFolder(folder);
  });

  /** Of everything that runs in the folder of Spark. */
  async function processes(): Promise<string[]> {
    const found = [];
    for (const pid of await readdir('/proc')) {
      const path = await readlink(`/proc/${pid}/cwd`).catch(() => '');
      if (path.startsWith(join(folder, 'spark'))) found.push(pid);
    }
    return found;
  }

  const twoExecutors = () => until(async () => (await spark.executors()).length === 2);

  test('a secret of its own keeps others out, and stands on no command line', async () => {
    await twoExecutors();
    const settings = await readFile(join(folder, 'spark', 'spark.properties'), 'utf8');
    const secret = /authenticate\.secret=(\w{48})$/m.exec(settings)?.[1] ?? '';
    assert.notEqual(secret, '');
    const pids = await processes();
    assert.equal(pids.length, 6);
    for (const pid of pids) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8');
      assert.doesNotMatch(line, new RegExp(`${secret}|CLICKSTREAM`), line);
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
      const isJob = Number(pid) === spark.driver.pid;
      assert.equal(environment.includes('CLICKSTREAM_STORE='), isJob, line);
    }
    const pages = `http://127.0.0.1:${spark.ports.jobUi}/api/v1/applications`;
    const [{ id }] = (await (await fetch(pages)).json()) as [{ id: string }];
    const shown = await (await fetch(`${pages}/${id}/environment`)).text();
    assert.match(shown, /"spark.authenticate.secret"/);
    assert.doesNotMatch(shown, new RegExp(`${secret}|CLICKSTREAM_`));
  });

  test('an executor ends with its worker, and comes back with it', async () => {
    const [worker] = spark.workers;
    await worker?.kill();
    await until(async () => (await spark.executors()).length === 1);
    await worker?.start();
    await twoExecutors();
  });

  test('a master that was away still gives the job executors', async () => {
    await spark.master.kill();
    await spark.master.start();
    const [executor = 0] = await spark.executors();
    process.kill(executor, 'SIGKILL');
    await until(async () => !(await spark.executors()).includes(executor));
    await twoExecutors();
  });

  test('a job that was killed is submitted again', async () => {
    const before = await spark.executors();
    await spark.driver.kill();
    await spark.driver.start();
    await until(async () => !(await spark.executors()).some((pid) => before.includes(pid)));
    await twoExecutors();
  });

  test('a stop in order leaves nothing, also where an executor is frozen', async () => {
    const [executor = 0] = await spark.executors();
    process.kill(executor, 'SIGSTOP');
    await spark.stop();
    assert.equal(await spark.driver.ended(), 0);
    assert.deepEqual(await processes(), []);
    assert.doesNotMatch(said.join('\n'), /ended by itself/);
  });
});
