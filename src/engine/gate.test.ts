/** A reader tries what is not allowed: each gate from outside, row by row. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openTestEngine, type TestEngine } from './test-engine.ts';

let ask: TestEngine['ask'];
let folder: string;
const opened = openTestEngine();

before(async () => {
  ({ ask, folder } = await opened);
});
after(async () => (await opened).close());

/** facts about the engine: each of these does harm under a plain `readonly` flag. */
const NOT_FOR_READERS = [
  ["INSERT INTO t VALUES (3, 'x')", 164],
  ['CREATE TABLE x (a UInt8) ENGINE = Memory', 164],
  ['SYSTEM FLUSH LOGS', 164],
  ['SET readonly = 0', 164],
  ['SELECT 1 SETTINGS max_threads = 8', 497],
  ["SELECT * FROM file('/etc/hostname', 'LineAsString')", 497],
  ["SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')", 497],
  ["SELECT * FROM remote('127.0.0.1', system.one)", 497],
  ["SELECT * FROM executable('id', 'TSV', 'a String')", 497],
  ["SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", 497],
  ["SELECT * FROM s3('http://127.0.0.1/x')", 497],
  ["SELECT * FROM merge('system', '.*')", 497],
  ["SELECT file('/etc/hostname')", 497],
  ["SELECT arrayMap(x -> file(x), ['/etc/hostname'])", 497],
  [
    "SELECT * FROM (SELECT * FROM file('/etc/hostname', 'LineAsString') SETTINGS readonly = 0)",
    497,
  ],
  ["SELECT (SELECT count() FROM file('/etc/hostname', 'LineAsString') SETTINGS readonly = 0)", 497],
  ["SELECT 1 IN (SELECT 1 FROM file('/etc/hostname', 'LineAsString') SETTINGS readonly = 0)", 497],
  ["SELECT * FROM view(SELECT file('/etc/hostname'))", 497],
  ["DESCRIBE TABLE file('/etc/hostname', 'LineAsString')", 497],
  ["EXPLAIN SELECT * FROM file('/etc/hostname', 'LineAsString')", 497],
  ["EXPLAIN TABLE OVERRIDE file('/etc/hostname') COLUMNS (a String)", 497],
  ['SELECT 1; SELECT 2', 62],
  ['KILL QUERY WHERE 1', 164],
  ["BACKUP TABLE t TO File('/nowhere/x')", 164],
  ["SELECT dictGet('a', 'b', 1)", 497],
  ["SELECT getSetting('max_threads')", 497],
  ["SELECT getClientHTTPHeader('Authorization')", 497],
  ['SELECT sleep(3)', 497],
  ['SELECT * FROM system.processes', 497],
  ['SHOW CREATE TABLE t', 497],
  ['SHOW PROCESSLIST', 497],
  // What the engine's EXPLAIN AST does not print.
  ["SELECT * APPLY(file) FROM (SELECT '/etc/hostname' AS p)", 497],
  ["SELECT * APPLY(p -> file(p)) FROM (SELECT '/etc/hostname' AS p)", 497],
  ["SELECT COLUMNS('p') APPLY(`file`) FROM (SELECT '/etc/hostname' AS p)", 497],
  ["SHOW TABLES WHERE name != file('/etc/hostname')", 497],
  ["SHOW COLUMNS FROM t WHERE field != file('/etc/hostname')", 497],
  ["SHOW TABLES LIMIT length(file('/etc/hostname'))", 497],
  ['SHOW TABLES WHERE name IN (SELECT query FROM system.processes)', 497],
  ['SELECT 1 IN system.users', 497],
  ['SELECT 1 WHERE 1 IN (system.processes)', 497],
  ['SELECT * FROM `system`.`processes`', 497],
  ['SELECT * FROM "system" . /* */ processes', 497],
  // Functions in every place that takes an expression.
  ["WITH file('/etc/hostname') AS f SELECT f", 497],
  ["WITH f AS (SELECT file('/etc/hostname')) SELECT * FROM f", 497],
  ["SELECT 1 FROM numbers(1) JOIN (SELECT file('/etc/hostname')) AS f ON 1", 497],
  ["SELECT a FROM numbers(1) ARRAY JOIN [file('/etc/hostname')] AS a", 497],
  ["SELECT exists(SELECT file('/etc/hostname'))", 497],
  ["SELECT sum(number) OVER (ORDER BY file('/etc/hostname')) FROM numbers(1)", 497],
  ["SELECT number FROM numbers(3) LIMIT length(file('/etc/hostname'))", 497],
  ["SELECT number AS n FROM numbers(3) ORDER BY n WITH FILL TO length(file('/x'))", 497],
  [
    "SELECT n, x FROM (SELECT 1 AS n, '' AS x) ORDER BY n WITH FILL TO 3 INTERPOLATE (x AS file('/x'))",
    497,
  ],
  ["SELECT quantile(length(file('/etc/hostname')))(number) FROM numbers(1)", 497],
  ["SELECT * REPLACE (file('/etc/hostname') AS b) FROM t", 497],
  ["SELECT 1 FROM t GROUP BY a HAVING file('/etc/hostname') = ''", 497],
  ["SELECT FILE('/etc/hostname'), `file`('/etc/hostname')", 497],
  ["SELECT fileIf('/etc/hostname', 1)", 497],
  ["SELECT 'x' AS `a\nLiteral`, file('/etc/hostname')", 497],
  ["SELECT * FROM (EXPLAIN SELECT file('/etc/hostname'))", 497],
  ["DESCRIBE (SELECT file('/etc/hostname'))", 497],
  ['EXPLAIN SYNTAX SET readonly = 0', 62],
  ['EXPLAIN AST DROP TABLE t', 497],
  ["EXPLAIN PIPELINE INSERT INTO t SELECT 3, 'x'", 497],
  ['SELECT 1 UNION ALL (SELECT 2 SETTINGS readonly = 0)', 497],
  // Table functions, scalar ones with the same name among them.
  ["SELECT * FROM format('LineAsString', 'x')", 497],
  ["SELECT * FROM fuzzQuery('SELECT 1')", 497],
  ['SELECT * FROM `cluster`(default, system.one)', 497],
  ["SELECT * FROM icebergLocal('/etc')", 497],
  ["SELECT * FROM viewIfPermitted(SELECT 1 ELSE null('a UInt8'))", 497],
  ["SELECT * FROM eval('SELECT 1')", 497],
  ["SELECT * FROM mergeTreeIndex('clickstream', 't')", 497],
  ['SELECT 1 IN (SELECT * FROM loop(t))', 497],
  ["SELECT * FROM numbers(1) AS a, sqlite('/x', 'y') AS b", 497],
  ['SHOW GRANTS', 497],
  ['SHOW CREATE VIEW v', 497],
  ['SELECT * FROM system.query_log', 497],
  ['SELECT * FROM system.server_settings', 497],
  ['SELECT currentRoles()', 497],
  ['SELECT 1 PARALLEL WITH SELECT 2', 497],
] as const;

for (const [sql, code] of NOT_FOR_READERS) {
  test(`a reader is refused: ${sql}`, async () => {
    const answer = await ask('reader', sql);
    assert.equal(answer.code, String(code), answer.text);
    assert.doesNotMatch(answer.text, /root:|hostname\n/);
  });
}

/** As people read them, in Superset's SQL Lab for one. */
const READS = 'is not allowed for this user: it may only read';
const SAID = [
  ["SELECT file('/etc/hostname')", `The function file ${READS} the tables of clickstream.`],
  ["SELECT * FROM url('http://x', 'CSV')", `The function url ${READS} the tables of clickstream.`],
  ["SELECT 1 INTO OUTFILE '/x'", `INTO OUTFILE ${READS} the tables of clickstream.`],
  ['SELECT * FROM system.users', `The table system.users ${READS} the tables of clickstream.`],
  ['SHOW CREATE TABLE t', `SHOW CREATE ${READS} the tables of clickstream.`],
  ['SELECT * APPLY(file) FROM t', `APPLY ${READS} the tables of clickstream.`],
  ['SELECT 1 SETTINGS max_threads = 8', 'SETTINGS is not allowed for this user: leave it out.'],
  ['SELECT 1; SELECT 2', 'There is more than one statement; send one at a time.'],
  ["INSERT INTO t VALUES (3, 'x')", `INSERT ${READS}.`],
  ['create table x (a UInt8) ENGINE = Memory', `CREATE ${READS}.`],
  ['DROP TABLE t', `DROP ${READS}.`],
  ['ALTER TABLE t DELETE WHERE 1', `ALTER ${READS}.`],
  ['', `An empty statement ${READS}.`],
] as const;

for (const [sql, words] of SAID) {
  test(`a reader is told why in a sentence: ${sql}`, async () => {
    const { text, code } = await ask('reader', sql);
    const said = /^Code: (\d+)\. DB::Exception: (.*) \([A-Z_]+\)\n$/.exec(text);
    assert.deepEqual(said?.slice(1), [code, words]);
  });
}

test('a column may be called settings', async () => {
  const { text } = await ask('reader', 'SELECT 1 AS settings, settings = 1 AS is; -- ; \n;');
  assert.equal(text, '1\t1\n');
});

test('a reader cannot write a file with INTO OUTFILE, whatever the statement', async () => {
  const target = join(folder, 'out.csv');
  for (const sql of [
    'SELECT 1',
    'SELECT 1 UNION ALL SELECT 2',
    'SHOW TABLES',
    'SHOW DATABASES',
    'DESCRIBE TABLE t',
    'EXISTS TABLE t',
    'EXPLAIN SELECT 1',
    'EXISTS TABLE `x\ny`',
  ]) {
    for (const more of ['', ' TRUNCATE FORMAT CSV', ' -- x']) {
      const answer = await ask('reader', `${sql} INTO OUTFILE '${target}'${more}`);
      assert.equal(answer.code, '497', `${sql}: ${answer.text}`);
    }
  }
  assert.equal(existsSync(target), false);
});

test('the name of a parameter is a name, not a piece of a statement', async () => {
  const target = join(folder, 'out.csv');
  const name = `$$ = 1; SELECT 1 INTO OUTFILE '${target}'; SET param_x$$`;
  const query = `param_${encodeURIComponent(name)}=v`;
  // In these quotes the engine sees a text, and a reader of words a placeholder.
  for (const who of ['owner', 'reader'] as const) {
    const answer = await ask(who, `SELECT \u2018{${name}:String}\u2019 AS s FORMAT TSVRaw`, {
      query,
    });
    assert.equal(answer.text, `{${name}:String}\n`);
  }
  assert.equal(existsSync(target), false);
});

test('a parameter that names a table is held to the same tables', async () => {
  const from = 'SELECT count() FROM {table:Identifier}';
  assert.equal((await ask('reader', from, { query: 'param_table=t' })).code, null);
  const inList = 'SELECT 1 IN {table:Identifier}';
  for (const sql of [from, inList, 'SELECT * FROM system.{table:Identifier}']) {
    const query = `param_table=${sql.includes('system.') ? 'processes' : 'system.processes'}`;
    assert.equal((await ask('reader', sql, { query })).code, '497', sql);
  }
});

test('a reader can lower the limits of a statement, and not raise them', async () => {
  const sql = 'SELECT number FROM numbers(2000000) FORMAT Null';
  for (const rows of ['0', '-1', '0.4', '1e-7', '9999999', '1e99', 'x', ''])
    assert.equal(
      (await ask('reader', sql, { query: `max_result_rows=${rows}` })).code,
      '396',
      rows,
    );
  const few = await ask('reader', 'SELECT number FROM numbers(3)', { query: 'max_result_rows=2' });
  assert.equal(few.code, '396');
  const bomb = 'SELECT length(groupArray(number)) FROM numbers(100000000)';
  assert.equal((await ask('reader', bomb, { query: 'max_memory_usage=0' })).code, '241');
});

test("what is wrong in a reader's statement is said in its own words", async () => {
  const { text } = await ask('reader', 'SELECT 1 FROM (t');
  assert.match(text, /^Code: 62\. DB::Exception: Syntax error: failed at position \d+/);
  assert.doesNotMatch(text, /formatQuery/);
});

test('quotes that do not end are read once, not once for each', async () => {
  for (const piece of ["'\\", '$a$ ', '"\\', '/*']) {
    const answer = await ask('reader', `SELECT ${piece.repeat(100_000 / piece.length)}`);
    assert.match(answer.code ?? '', /^(62|47)$/, answer.text.slice(0, 200));
  }
});

test('a reader who asks for a setting beside the SQL is held to the list', async () => {
  const query = 'max_result_rows=5&output_format_json_quote_64bit_integers=1';
  const answer = await ask('reader', 'SELECT toUInt64(1) AS n FORMAT JSONEachRow', { query });
  assert.equal(answer.text, '{"n":"1"}\n');
  const refused = await ask('reader', 'SELECT 1', { query: 'readonly=0' });
  assert.equal(refused.code, '115');
  const gated = await ask('reader', "SELECT file('/etc/hostname')", { query });
  assert.equal(gated.code, '497');
});

test('a reader may ask what people ask', async () => {
  for (const sql of [
    'SELECT count(), sum(a), quantile(0.5)(a), uniqExactIf(b, a > 1) FROM t',
    'WITH x AS (SELECT a FROM t) SELECT * FROM x ORDER BY a',
    'SELECT number FROM numbers(3)',
    'SHOW TABLES',
    'SHOW DATABASES',
    'DESCRIBE TABLE t',
    'EXISTS TABLE t',
    'EXISTS DATABASE `clickstream`',
    'EXPLAIN SELECT * FROM t',
    'EXPLAIN ESTIMATE SELECT * FROM t',
    "SELECT name FROM system.databases WHERE name = 'clickstream'",
    "SELECT engine, engine_full, comment FROM system.tables WHERE name = 't'",
    "SELECT name FROM system.tables WHERE database = 'clickstream'",
    "SELECT '; SELECT 2' /* ; */ -- ; DROP TABLE t",
    'SELECT name FROM system.functions UNION ALL SELECT name FROM system.table_functions LIMIT 10000',
  ]) {
    const answer = await ask('reader', sql);
    assert.equal(answer.code, null, `${sql}: ${answer.text}`);
  }
});
