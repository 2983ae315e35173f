/**
 * The statements for a cluster. There is none to run them on: the engine reads each of them, and
 * runs what needs no other server.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTestEngine, type TestEngine } from '../engine/test-engine.ts';
import { askAllServers, forCluster, syncReplicas } from './cluster.ts';
import { schemaStatements } from './migrate.ts';
import { startTestServer } from './test-server.ts';

const CLUSTER = { name: 'two_by_two', database: 'clickstream' };
const schema = schemaStatements().flatMap((sql) => forCluster(sql, CLUSTER));
const DELETE = 'ALTER TABLE records DELETE WHERE log_id = 1';
const DROP =
  "ALTER TABLE records DROP PARTITION ID '202611' SETTINGS max_partition_size_to_drop = 0";

let engine: TestEngine;
before(async () => {
  engine = await openTestEngine();
});
after(() => engine.close());

const one = (start: string): string => {
  const found = schema.filter((sql) => sql.startsWith(start));
  assert.equal(found.length, 1, start);
  return found[0] ?? '';
};

test('the engine can read every statement that is for a cluster', async () => {
  const all = [
    ...schema,
    ...['CREATE DATABASE IF NOT EXISTS `clickstream`', DELETE, DROP].flatMap((sql) =>
      forCluster(sql, CLUSTER),
    ),
    ...syncReplicas(CLUSTER),
    "KILL QUERY ON CLUSTER two_by_two WHERE startsWith(initial_query_id, 'x') SYNC",
    askAllServers('SELECT count() FROM system.processes', CLUSTER),
  ];
  for (const sql of all) await engine.own(`EXPLAIN AST ${sql}`);
  const { code } = await engine.ask('owner', 'EXPLAIN AST CREATE TBLE x ON CLUSTER y');
  assert.equal(code, '62', 'what cannot be read is refused');
});

test('whatever makes or changes a table does so on every server', () => {
  assert.ok(schema.length > schemaStatements().length);
  for (const sql of schema) assert.match(sql, /^(CREATE|ALTER) [^(]* ON CLUSTER two_by_two\b/);
  for (const sql of [DELETE, DROP]) {
    const [changed = '', ...more] = forCluster(sql, CLUSTER);
    assert.match(changed, /^ALTER TABLE records_local ON CLUSTER two_by_two D/);
    assert.deepEqual(more, []);
  }
  assert.deepEqual(forCluster('INSERT INTO records SELECT 1', CLUSTER), [
    'INSERT INTO records SELECT 1',
  ]);
});

test('records lie on one shard by their partition, and all other tables whole on each server', () => {
  const records = one('CREATE TABLE IF NOT EXISTS records_local ');
  assert.match(records, /ReplicatedMergeTree\('[^']*\/\{shard\}', '\{replica\}'\)/);
  assert.match(records, /\breplicated_deduplication_window = 0/);
  for (const table of ['logs', 'removals', 'migrations', 'spark_progress', 'lag']) {
    const small = one(`CREATE TABLE IF NOT EXISTS ${table} `);
    assert.match(small, /ReplicatedMergeTree\('[^']*\{table\}', '\{shard\}-\{replica\}'\)/);
  }
  const distributed = schema.filter((sql) => sql.startsWith('CREATE OR REPLACE TABLE records '));
  // Once made, and once more with the columns of the change after it.
  assert.equal(distributed.length, 2);
  for (const sql of distributed)
    assert.match(sql, /toUInt64\(log_id\) \* 65536 \+ log_partition\)/);
});

test('the fence of a cluster refuses at once who is not the owner any more', async () => {
  // One server, without Keeper; what is left is the dictionary and the constraint.
  const alone = (sql: string): string =>
    sql
      .replace(/ ON CLUSTER \w+/, '')
      .replace(/Replicated(MergeTree)\([^)]*\)/, '$1')
      .replace(/KeeperMap\([^)]*\) PRIMARY KEY log_key/, 'Memory')
      .replace(/USER '\w+' /, '')
      .replace(/\breplicated_dedup/, 'non_replicated_dedup');
  for (const start of [
    'CREATE TABLE IF NOT EXISTS records_local ',
    'CREATE TABLE IF NOT EXISTS owners ',
    'CREATE DICTIONARY ',
    'ALTER TABLE records_local ON CLUSTER two_by_two\n    ADD',
  ])
    await engine.own(alone(one(start)));
  const insert = (owner: number) =>
    engine.ask(
      'owner',
      `INSERT INTO records_local (outcome, log_id, log_partition, owner) FORMAT JSONCompactEachRow
["stored", 1, 2, ${owner}]
`,
    );
  const own = async (owner: number): Promise<void> => {
    await engine.own('TRUNCATE TABLE owners');
    await engine.own(`INSERT INTO owners VALUES (${1 * 65_536 + 2}, ${owner})`);
  };
  assert.equal((await insert(0)).code, null, 'nobody has taken it yet');
  await own(7);
  assert.equal((await insert(7)).code, null);
  assert.equal((await insert(0)).code, '469');
  await own(8);
  assert.equal((await insert(7)).code, '469');
});

test('on a cluster inserts are ended on every server, and every replica is waited for', async () => {
  const server = await startTestServer();
  try {
    await server.connect('shop', undefined, 'two_by_two').settle(['records-1-0']);
    const [kill = '', look = '', ...sync] = server.statements;
    const start = "startsWith(initial_query_id, 'clickstream-shop-records-1-0-')";
    assert.equal(kill.trim(), `KILL QUERY ON CLUSTER two_by_two WHERE ${start} SYNC`);
    assert.ok(
      look.includes(`FROM clusterAllReplicas('two_by_two', system.processes) WHERE ${start}`),
    );
    assert.deepEqual(sync, syncReplicas({ name: 'two_by_two', database: 'shop' }));
  } finally {
    await server.close();
  }
});
