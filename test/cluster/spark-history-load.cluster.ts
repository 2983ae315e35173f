/**
 * A range of the topic that the Spark job processes again while events come in: the processor waits
 * for the swap, and one that does not wait has it refused.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { whyNoKafka } from '../../kafka/cluster.ts';
import { type SparkCluster, whyNoSpark } from '../../spark/cluster.ts';
import { createRecords, HOLDER_MIN } from '../../src/process/records.ts';
import { type FreezingProxy, startFreezingProxy } from '../crash/freezing-proxy.ts';
import { removeFolder, temporaryFolder } from '../system.ts';
import { createLoad, type Load, prove } from './load.ts';
import { ended, startJob, TIMEOUT_MS, type Times } from './spark-history.ts';
import { type Member, type Stage, startStage, until } from './stage.ts';

/** The job's last look before the swap: what is beside its own rows is as it was copied. */
const IS_SAME = /sum\(cityHash64\(/;
const skip = (await whyNoKafka()) ?? (await whyNoSpark()) ?? false;

describe('history while events come in', { skip, timeout: TIMEOUT_MS }, () => {
  const TOPIC = 'history-load';
  let stage: Stage;
  let folder: string;
  let system: Member;
  let load: Load;
  let proxy: FreezingProxy;
  let spark: SparkCluster | undefined;

  before(async () => {
    stage = await startStage('history-load', 'single');
    proxy = await startFreezingProxy(stage.storeAccess.url);
    folder = await temporaryFolder('history-load-spark');
    system = await stage.member('system', stage.environment(TOPIC));
    await system.start();
    load = createLoad('history', [system]);
  });
  after(async () => {
    load?.giveUp();
    await spark?.close();
    await proxy?.close();
    await stage?.close();
    if (folder !== undefined) await removeFolder(folder);
  });

  async function runJob(times: Times): Promise<Awaited<ReturnType<typeof ended>>> {
    const log = `${stage.environment(TOPIC).CLICKSTREAM_LOG}`;
    const store = new URL(stage.storeAddress);
    store.port = String(proxy.port);
    spark = await startJob(join(folder, 'spark'), { log, store: `${store}` }, times);
    const end = await ended(spark);
    await spark.close();
    return end;
  }

  const spoiltRows = async (): Promise<number> => {
    const [row] = await stage.store.select<{ rows: number }>(
      "SELECT count() AS rows FROM records WHERE path = 'spoilt'",
    );
    return row?.rows ?? 0;
  };

  async function endOf(partition: number): Promise<number> {
    const [row] = await stage.store.select<{ end: number }>(
      'SELECT max(log_offset) AS end FROM records WHERE log_partition = {partition:UInt16}',
      { partition },
    );
    return row?.end ?? 0;
  }

  test('a time of which nothing was processed is said in one sentence', async () => {
    const { code, said } = await runJob({ fromMs: 0, toMs: 1_000 });
    assert.equal(code, 1);
    assert.match(said, /^clickstream: The topic has no processed records of that time\b.*\.$/m);
    assert.doesNotMatch(said, /Exception|\n\s+at /);
  });

  test('the processor waits for a swap and goes on: nothing is lost or doubled', async (t) => {
    load.begin();
    await load.goesOn(100);
    const toMs = Date.now();
    await load.goesOn(20);
    await stage.store.command(
      `ALTER TABLE records UPDATE path = 'spoilt'
       WHERE outcome = 'stored' AND received_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
       SETTINGS mutations_sync = 1`,
      { to: toMs },
    );
    assert.ok((await spoiltRows()) > 0);
    const records = createRecords(stage.store);
    const at = { logId: 1, partition: 0 };
    /** As a processor would that has waited for too long: the swap is tried again. */
    async function writesAt(statement: RegExp): Promise<void> {
      await proxy.freeze(async () => spark?.driver.pid, 'before it is sent', statement);
      assert.ok((await records.ownerOf(at)) >= HOLDER_MIN);
      const before = await endOf(at.partition);
      await records.takeOver(at.logId, [at.partition]);
      await until(async () => (await endOf(at.partition)) > before);
      proxy.thaw();
    }
    const running = runJob({ fromMs: 0, toMs });
    await writesAt(IS_SAME);
    await writesAt(/REPLACE PARTITION/);
    const { code, said } = await running;
    assert.equal(code, 0, said);
    const again = said.match(/^clickstream: others have not waited for month \d{6}: it was not/gm);
    assert.equal(again?.length, 2, said);
    assert.match(system.output(), /another one has taken the partition over/);
    await load.goesOn(20);
    const { events, duplicates } = await prove({ stage, topic: TOPIC, query: system, load });
    assert.equal(await spoiltRows(), 0);
    t.diagnostic(`${events} events, ${duplicates} duplicates`);
  });
});
