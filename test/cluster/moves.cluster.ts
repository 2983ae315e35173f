/**
 * What an operator does to a system that runs: moving it from a log of files to Kafka, deleting what
 * the group has committed, deleting the topic, erasing and healing while processors are at work.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { whyNoKafka } from '../../kafka/cluster.ts';
import type { AuditReport } from '../../src/process/upkeep/audit-report.ts';
import { TOKEN_HEADER } from '../../src/process/upkeep/http.ts';
import { readToken } from '../../src/running-file.ts';
import { readProgress } from '../crash/judge.ts';
import { post } from '../crash/sender.ts';
import { createLoad, type Load, prove } from './load.ts';
import { type Member, PARTITIONS, type Stage, startStage, until } from './stage.ts';

const skip = (await whyNoKafka()) ?? false;
const TOPIC = 'moves';
const ERASED = 40;
const DELETED = 10;

describe('a cluster and its operator', { skip }, () => {
  let stage: Stage;
  /** The system of before, with a log of files. */
  let single: Member;
  let collector: Member;
  let processors: [Member, Member];
  let query: Member;
  let all: Member[];
  let load: Load;

  before(async () => {
    stage = await startStage('moves');
    const environment = stage.environment(TOPIC);
    const member = (name: string, role: string) =>
      stage.member(name, { ...environment, CLICKSTREAM_ROLES: role });
    single = await stage.member('single', {
      ...environment,
      CLICKSTREAM_LOG: 'file:log?partitions=2',
    });
    collector = await member('collect', 'collect');
    processors = [await member('process-1', 'process'), await member('process-2', 'process')];
    query = await member('query', 'query');
    all = [collector, ...processors, query];
    load = createLoad('moves', [single, collector]);
  });
  after(async () => {
    load?.giveUp();
    await stage?.close();
  });

  async function startAll(members: readonly Member[]): Promise<void> {
    await Promise.all(members.map((member) => member.start()));
  }

  /** The number that the store has given to the log of now. */
  async function logIdNow(): Promise<number> {
    const [row] = await stage.store.select<{ log_id: number }>(
      'SELECT max(log_id) AS log_id FROM logs',
    );
    return row?.log_id ?? 0;
  }

  async function allOnce(t: TestContext): Promise<void> {
    const logId = await logIdNow();
    const { events, duplicates } = await prove({ stage, topic: TOPIC, query, load, logId });
    t.diagnostic(`so far ${events} events, ${duplicates} duplicates, in ${logId} logs`);
  }

  /** Copies on this log of events that are stored from an earlier one. */
  async function copiesOfEarlier(logId: number): Promise<number> {
    const [row] = await stage.store.select<{ copies: number }>(
      `SELECT count() AS copies FROM records
       WHERE outcome = 'duplicate' AND log_id = {log_id:UInt32} AND (project_id, event_id) IN (
         SELECT project_id, event_id FROM records WHERE outcome = 'stored' AND log_id < {log_id:UInt32})`,
      { log_id: logId },
    );
    return row?.copies ?? 0;
  }

  async function isCaughtUp({ url }: Member): Promise<boolean> {
    const { ends = [], committed } = (await readProgress(url)) ?? {};
    return ends.length > 0 && `${ends}` === `${committed}`;
  }

  test('from a log of files to Kafka under load, an event that is repeated across it is a duplicate', async (t) => {
    await single.start();
    load.begin();
    await load.goesOn(50);
    assert.equal(await single.stop(), 0, single.output());
    // What a stop left on its log goes first, or a copy could be stored before it.
    await single.start({ CLICKSTREAM_ROLES: 'process' });
    await until(() => isCaughtUp(single));
    assert.equal(await single.stop(), 0, single.output());
    await startAll(all);
    await load.goesOn(50);
    await allOnce(t);
    assert.ok((await copiesOfEarlier(await logIdNow())) > 0);
  });

  test('without the offsets of the group it goes on after what is stored', async (t) => {
    load.begin();
    await load.goesOn(20);
    for (const processor of processors) assert.equal(await processor.stop(), 0);
    await stage.admin.deleteGroups({ groups: [TOPIC] });
    await load.goesOn(20);
    await startAll(processors);
    await load.goesOn(20);
    await allOnce(t);
    // Once for each of them, or more often where one moved before its first batch.
    const said = processors.flatMap((one) => [
      ...one.output().matchAll(/"partition":(\d+),.*the committed offset is older than what is/g),
    ]);
    assert.equal(new Set(said.map(([, partition]) => partition)).size, PARTITIONS);
  });

  test('a topic that is deleted and made again ends all processes; the next start has a new log', async (t) => {
    const before = await logIdNow();
    await stage.admin.deleteTopics({ topics: [TOPIC] });
    for (const member of all) {
      assert.equal(await member.ended(), 1);
      assert.match(member.output(), /log_changed/);
    }
    await startAll(all);
    load.begin();
    await load.goesOn(50);
    await allOnce(t);
    const now = await logIdNow();
    assert.equal(now, before + 1);
    assert.ok((await copiesOfEarlier(now)) > 0);
  });

  test('what is erased while others process stays erased, and its copies are duplicates', async (t) => {
    load.begin();
    await load.goesOn();
    const events = Array.from({ length: ERASED }, (_, i) => ({
      event_name: 'SECRET',
      event_id: `secret-${i}`,
      visitor_id: 'me',
      session_id: 'mine',
      event_time: new Date().toISOString(),
      sequence: i,
    }));
    // The judge knows them, and that nobody may count on them.
    for (const event of events) load.ledger.add('shop', event, true);
    const send = async () =>
      assert.equal((await post(collector.url, 'shop', JSON.stringify(events)))?.status, 202);
    const outcomes = async () =>
      stage.store.select<{ outcome: string; partitions: number; rows: number }>(
        `SELECT CAST(outcome, 'String') AS outcome, uniqExact(log_partition) AS partitions,
           count() AS rows
         FROM records WHERE event_id LIKE 'secret-%' GROUP BY outcome`,
      );
    const untilRows = (rows: number) =>
      until(async () => (await outcomes()).reduce((sum, row) => sum + row.rows, 0) === rows);
    await send();
    await untilRows(ERASED);
    const erasing = ['erase', '--project', 'shop', '--visitor', 'me'];
    const { code, stdout, stderr } = await stage.command(stage.environment(TOPIC), ...erasing);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, new RegExp(`^Erased ${ERASED} rows of shop`));
    await untilRows(0);
    await send();
    await untilRows(ERASED);
    const expected = [{ outcome: 'duplicate', partitions: PARTITIONS, rows: ERASED }];
    assert.deepEqual(await outcomes(), expected);
    await allOnce(t);
    assert.deepEqual(await outcomes(), expected);
  });

  test('rows that are deleted by hand are healed while two processors work', async (t) => {
    load.begin();
    await load.goesOn();
    const gone = load.ledger.acknowledged
      .filter(({ project }) => project === 'shop')
      .slice(-DELETED)
      .map(({ event }) => event.event_id);
    const stored = async (): Promise<number> => {
      const [row] = await stage.store.select<{ rows: number }>(
        `SELECT count() AS rows FROM records
         WHERE outcome = 'stored' AND event_id IN {ids:Array(String)}`,
        { ids: gone },
      );
      return row?.rows ?? 0;
    };
    await until(async () => (await stored()) === DELETED);
    await stage.store.command(
      `ALTER TABLE records DELETE WHERE outcome = 'stored' AND event_id IN {ids:Array(String)}
       SETTINGS mutations_sync = 1`,
      { ids: gone },
    );
    assert.equal(await stored(), 0);
    // Asked of one of the processors: some of the partitions are its own, and some are not.
    const [asked] = processors;
    const response = await fetch(`${asked.url}/api/audit`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        [TOKEN_HEADER]: await readToken(asked.data),
      },
      body: JSON.stringify({ heal: true }),
    });
    const report = (await response.json()) as AuditReport;
    assert.equal(response.status, 200, JSON.stringify(report));
    assert.deepEqual([report.closed, report.healed?.missing], [true, DELETED]);
    assert.equal(await stored(), DELETED);
    await allOnce(t);
  });
});
