/**
 * A range of the topic that the Spark job processes again: rows that were spoilt in the store are as
 * they were, all others are not touched, and whoever reads or dies meanwhile changes nothing.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Producer } from '@platformatic/kafka';
import { whyNoKafka } from '../../kafka/cluster.ts';
import { type SparkCluster, whyNoSpark } from '../../spark/cluster.ts';
import { realClock } from '../../src/base/clock.ts';
import type { Log } from '../../src/log/log.ts';
import type { AuditReport } from '../../src/process/upkeep/audit-report.ts';
import { expire } from '../../src/process/upkeep/removals.ts';
import { readProgress } from '../crash/judge.ts';
import { post } from '../crash/sender.ts';
import { removeFolder, temporaryFolder } from '../system.ts';
import { ended, startJob, TIMEOUT_MS, type Times } from './spark-history.ts';
import { type Member, type Stage, startStage, until } from './stage.ts';

const skip = (await whyNoKafka()) ?? (await whyNoSpark()) ?? false;
const DAY_MS = 86_400_000;
/** The fixture begins some days before this, and ends some days after it. */
const FIXTURE_MONTH_MS = Date.UTC(2026, 11, 1);

async function succeeded(spark: SparkCluster): Promise<string> {
  const { code, said } = await ended(spark);
  assert.equal(code, 0, said);
  return said;
}

async function ownTables({ store }: Stage): Promise<unknown[]> {
  return store.select("SELECT name FROM system.tables WHERE startsWith(name, 'records_')");
}

describe('history of a topic', { skip, timeout: TIMEOUT_MS }, () => {
  const TOPIC = 'history';
  let stage: Stage;
  let folder: string;
  let system: Member;
  let environment: Readonly<Record<string, string>>;
  let spark: SparkCluster;
  let times: Times;
  let logId: number;
  /** Rows as the processor has made them, by place; `kept` without batch and owner. */
  let good: Map<string, { whole: string; kept: string }>;

  before(
    async () => {
      stage = await startStage('history', 'single');
      folder = await temporaryFolder('history-spark');
      const log = `${stage.environment(TOPIC).CLICKSTREAM_LOG}`.replace(
        'partitions=4',
        'partitions=3',
      );
      environment = {
        ...stage.environment(TOPIC),
        CLICKSTREAM_LOG: log,
        CLICKSTREAM_LOG_KEEP_HOURS: '8760',
      };
      system = await stage.member('system', environment);
      await system.start();
      const today = new Date(Date.now() - 10 * DAY_MS);
      const monthMs = Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1);
      times = { fromMs: monthMs - 5 * DAY_MS, toMs: monthMs + 8 * DAY_MS };
      await produceFixture(monthMs - FIXTURE_MONTH_MS);
      await send('first');
      await until(isStored);
      const [row] = await stage.store.select<{ id: number }>('SELECT max(log_id) AS id FROM logs');
      logId = row?.id ?? 0;
      // Of a log of before, in the month that is replaced.
      await stage.store.command(
        `INSERT INTO records (outcome, project_id, event_id, received_at, log_id, log_offset)
       SELECT 'stored', 'shop', concat('other-', toString(number)),
         fromUnixTimestamp64Milli({ms:Int64}, 'UTC'), 99, number FROM numbers(20)`,
        { ms: monthMs + 2 * DAY_MS },
      );
      good = await dump();
      spark = await startJob(join(folder, 'spark'), { log, store: stage.storeAddress }, times);
      await spark.driver.kill();
    },
    { timeout: TIMEOUT_MS },
  );
  after(async () => {
    await spark?.close();
    await stage?.close();
    if (folder !== undefined) await removeFolder(folder);
  });

  /** The records of the first log of the fixture, so much later. */
  async function produceFixture(laterMs: number): Promise<void> {
    const path = join(import.meta.dirname, '..', '..', 'fixtures', 'records.ndjson');
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const producer = new Producer({
      clientId: 'test',
      bootstrapBrokers: stage.kafka.brokers.split(','),
    });
    const messages = lines
      .map((line) => JSON.parse(line))
      .filter(({ log_id }) => log_id === 1)
      .map(({ log_partition, time_ms, text, base64 }) => ({
        topic: TOPIC,
        partition: log_partition as number,
        timestamp: BigInt(time_ms + laterMs),
        value:
          base64 === undefined
            ? Buffer.from(
                // Whatever looks like a time of these days.
                (text as string).replaceAll(/\b179[56]\d{9}\b/g, (ms) => `${Number(ms) + laterMs}`),
              )
            : Buffer.from(base64, 'base64'),
      }));
    for (let i = 0; i < messages.length; i += 500)
      await producer.send({ messages: messages.slice(i, i + 500) });
    await producer.close();
  }

  async function send(name: string): Promise<void> {
    const events = Array.from({ length: 60 }, (_, i) => ({
      event_name: 'SEARCH',
      event_id: `${name}-${i}`,
      session_id: `${name}-${i % 7}`,
      visitor_id: 'me',
      event_time: new Date().toISOString(),
    }));
    assert.equal((await post(system.url, 'shop', JSON.stringify(events)))?.status, 202);
  }

  async function isStored(): Promise<boolean> {
    const { ends = [], committed } = (await readProgress(system.url)) ?? {};
    return ends.length > 0 && `${ends}` === `${committed}`;
  }

  async function dump(): Promise<typeof good> {
    const rows = await stage.store.select<{ place: string; whole: string; kept: string }>(
      `SELECT concat(toString(log_id), '-', toString(log_partition), '-', toString(log_offset)) AS place,
         toString(tuple(*)) AS whole, toString(tuple(* EXCEPT (batch_id, owner))) AS kept
       FROM records ORDER BY place`,
    );
    const all = new Map(rows.map(({ place, ...row }) => [place, row]));
    assert.equal(all.size, rows.length, 'each place is there once');
    return all;
  }

  const IN_RANGE =
    "log_id = {log_id:UInt32} AND received_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')";
  const bound = () => ({ log_id: logId, to: times.toMs });

  async function change(sql: string): Promise<void> {
    await stage.store.command(`${sql} SETTINGS mutations_sync = 1`, bound());
  }

  /** Values that are wrong, rows that are gone, events that pass for refused. */
  async function spoil(): Promise<void> {
    await change(
      `ALTER TABLE records UPDATE path = 'spoilt', value = 1, session_id = concat(session_id, '!')
       WHERE ${IN_RANGE} AND outcome = 'stored'`,
    );
    // As a mapping that was wrong had made them, under the number of who writes now.
    const refused = `${IN_RANGE} AND log_offset % 16 = 3 AND outcome != 'rejected'`;
    for (let partition = 0; partition < 3; partition++)
      await stage.store.command(
        `INSERT INTO records (outcome, project_id, received_at, log_id, log_partition, log_offset,
           batch_id, owner, reason)
         SELECT 'rejected', project_id, received_at, log_id, log_partition, log_offset, batch_id,
           joinGet('owners', 'owner', toUInt64(log_id) * 65536 + log_partition), 'unprocessable'
         FROM records WHERE ${refused} AND log_partition = ${partition}`,
        bound(),
      );
    await change(`ALTER TABLE records DELETE WHERE ${refused}`);
    await change(`ALTER TABLE records DELETE WHERE ${IN_RANGE} AND log_offset % 16 = 7`);
  }

  /** What was gone has no batch any more, and what was put there by hand another owner. */
  function assertSame(found: typeof good, expected: typeof good): void {
    assert.deepEqual([...found.keys()], [...expected.keys()]);
    for (const [place, { whole, kept }] of found) {
      const [log = 0, , offset = 0] = place.split('-').map(Number);
      const isPut = log === logId && [3, 7].includes(offset % 16);
      const [is, was] = isPut
        ? [kept, expected.get(place)?.kept]
        : [whole, expected.get(place)?.whole];
      assert.equal(is, was, place);
    }
  }

  async function audit(): Promise<void> {
    const { code, stdout, stderr } = await stage.command(environment, 'audit', '--json');
    assert.equal(code, 0, stdout + stderr);
    assert.equal((JSON.parse(stdout) as AuditReport).closed, true, stdout);
  }

  /** What readers see of the months of the range: rows, and a sum of all that they hold. */
  async function months(): Promise<string[]> {
    const rows = await stage.store.select<{ month: number; rows: number; sum: string }>(
      `SELECT toYYYYMM(received_at) AS month, count() AS rows,
         toString(sum(cityHash64(toString(tuple(* EXCEPT (batch_id, owner)))))) AS sum
       FROM records WHERE received_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
       GROUP BY month ORDER BY month`,
      { to: times.toMs },
    );
    return rows.map(({ month, rows, sum }) => `${month}: ${rows} rows, ${sum}`);
  }

  const hasSaid = (what: RegExp) => until(async () => what.test(await spark.driver.output()));

  test('spoilt rows of the range are as they were, and all others are not touched', async () => {
    await spoil();
    assert.notDeepEqual(await dump(), good);
    await spark.driver.start();
    const said = await succeeded(spark);
    assert.match(
      said,
      /^clickstream: done: \d+ records were processed again, swapped in: \d{6}, /m,
    );
    assertSame(await dump(), good);
    await audit();
    assert.deepEqual(await ownTables(stage), []);
  });

  test('a job that is killed leaves whole months, and the next one is done with the rest', async () => {
    const whole = await months();
    await spoil();
    const spoilt = await months();
    assert.equal(spoilt.length, 2);
    const seen = new Set<string>();
    let isOver = false;
    const readers = (async () => {
      while (!isOver) for (const month of await months()) seen.add(month);
    })();
    try {
      await spark.driver.start();
      await hasSaid(/processing \d+ records/);
      await spark.driver.kill();
      assert.deepEqual(await months(), spoilt);
      assert.equal((await ownTables(stage)).length, 1);

      await spark.driver.start();
      await hasSaid(/is swapped in/);
      await spark.driver.kill();
      assert.equal((await months())[0], whole[0]);

      await spark.driver.start();
      await hasSaid(/processing \d+ records/);
      const [executor = 0] = await spark.executors();
      process.kill(executor, 'SIGKILL');
      await succeeded(spark);
    } finally {
      isOver = true;
      await readers;
    }
    assert.deepEqual([...seen].sort(), [...whole, ...spoilt].sort());
    assertSame(await dump(), good);
    await audit();
    assert.deepEqual(await ownTables(stage), []);
    // The hold of the one that was killed is over.
    await send('second');
    await until(isStored);
  });

  test('what was erased or is older than a time limit stays out', async () => {
    const limitMs = times.fromMs + 5.5 * DAY_MS;
    const [row] = await stage.store.select<{ id: string }>(
      `SELECT max(event_id) AS id FROM records WHERE ${IN_RANGE} AND project_id = 'shop'
         AND outcome = 'stored' AND received_at > fromUnixTimestamp64Milli({limit:Int64}, 'UTC')`,
      { ...bound(), limit: limitMs },
    );
    const erasing = ['erase', '--project', 'shop', '--event-id', row?.id ?? ''];
    const { code, stdout, stderr } = await stage.command(environment, ...erasing);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^Erased [1-9]/);
    const log = {
      partitions: 3,
      committed: async () => ({ offset: Number.MAX_SAFE_INTEGER, note: '' }),
    };
    const taken = await expire(
      {
        log: log as unknown as Log,
        store: stage.store,
        clock: realClock,
        logId,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        onRecorded: async () => undefined,
        whileNobodyWrites: (work) => work(),
      },
      limitMs,
    );
    assert.ok(taken > 0);
    good = await dump();
    await change(
      `ALTER TABLE records UPDATE path = 'spoilt' WHERE ${IN_RANGE} AND outcome = 'stored'`,
    );
    await change(
      `ALTER TABLE records DELETE WHERE ${IN_RANGE} AND outcome = 'stored' AND log_offset % 16 = 7`,
    );
    await spark.driver.start();
    assert.match(await succeeded(spark), /is swapped in: \d+ rows, [1-9]/);
    assertSame(await dump(), good);
    await audit();
  });
});
