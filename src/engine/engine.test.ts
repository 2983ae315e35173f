/**
 * The engine from outside: as its owner, as a reader who tries what is not allowed, as a driver,
 * and when it is killed.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { realClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { type Engine, startEngine } from './start.ts';

const MB = 1024 * 1024;
let folder: string;
let engine: Engine;

const options = (more: { folder: string; port?: number }) => ({
  port: 0,
  memoryBytesMax: 512 * MB,
  readers: 2,
  logger: createLogger('silent'),
  clock: realClock,
  ...more,
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clickstream-engine-'));
  engine = await startEngine(options({ folder }));
  await own('CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a');
  await own('INSERT INTO t (a, b) FORMAT JSONCompactEachRow\n[1,"one"]\n[2,"two"]\n');
});

after(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  status: number;
  code: string | null;
  text: string;
  headers: Headers;
  bytes: Buffer;
}

async function ask(
  who: 'owner' | 'reader',
  sql: string | Uint8Array<ArrayBuffer>,
  {
    query = '',
    headers = {},
    method = 'POST',
  }: { query?: string; headers?: Record<string, string>; method?: string } = {},
): Promise<Answer> {
  const { name, password } = engine[who];
  const response = await fetch(`${engine.url}/?${query}`, {
    method,
    headers: { authorization: `Basic ${btoa(`${name}:${password}`)}`, ...headers },
    ...(method === 'POST' ? { body: sql } : {}),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const code = response.headers.get('x-clickhouse-exception-code');
  return {
    status: response.status,
    code,
    text: bytes.toString('utf8'),
    headers: response.headers,
    bytes,
  };
}

const own = async (sql: string, more?: Parameters<typeof ask>[2]): Promise<Answer> => {
  const answer = await ask('owner', sql, more);
  assert.equal(answer.code, null, answer.text);
  return answer;
};

test('answers ping and the root without a password', async () => {
  for (const path of ['/ping', '/']) {
    const response = await fetch(engine.url + path);
    assert.equal(await response.text(), 'Ok.\n');
  }
});

test('a wrong password, a wrong name and no name are refused with 516', async () => {
  for (const headers of [
    {},
    { 'x-clickhouse-user': 'reader', 'x-clickhouse-key': 'wrong' },
    { 'x-clickhouse-user': 'x' },
  ]) {
    const response = await fetch(engine.url, { method: 'POST', body: 'SELECT 1', headers });
    assert.equal(response.status, 403);
    assert.equal(response.headers.get('x-clickhouse-exception-code'), '516');
    assert.doesNotMatch(await response.text(), /wrong/);
  }
});

test('the users file can be read by its owner only', async () => {
  const { mode } = await import('node:fs').then((fs) => fs.statSync(join(folder, 'users.json')));
  assert.equal(mode & 0o777, 0o600);
});

/** facts about the engine: each of these does harm under a plain `readonly` flag. */
const NOT_FOR_READERS = [
  ["INSERT INTO t VALUES (3, 'x')", 164],
  ['CREATE TABLE x (a UInt8) ENGINE = Memory', 164],
  ['SYSTEM FLUSH LOGS', 164],
  ['SET readonly = 0', 164],
  ['SELECT 1 SETTINGS max_threads = 8', 164],
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
  ["BACKUP TABLE t TO File('/tmp/x')", 164],
  ["SELECT dictGet('a', 'b', 1)", 497],
  ["SELECT getSetting('max_threads')", 497],
  ["SELECT getClientHTTPHeader('Authorization')", 497],
  ['SELECT sleep(3)', 497],
  ['SELECT * FROM system.processes', 497],
  ['SHOW CREATE TABLE t', 497],
  ['SHOW PROCESSLIST', 497],
] as const;

for (const [sql, code] of NOT_FOR_READERS) {
  test(`a reader is refused: ${sql}`, async () => {
    const answer = await ask('reader', sql);
    assert.equal(answer.code, String(code), answer.text);
    assert.doesNotMatch(answer.text, /root:|hostname\n/);
  });
}

test('a reader cannot write a file with INTO OUTFILE', async () => {
  const target = join(folder, 'out.csv');
  const answer = await ask('reader', `SELECT 1 INTO OUTFILE '${target}'`);
  assert.equal(answer.code, '497');
  assert.equal(existsSync(target), false);
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
    'EXPLAIN SELECT * FROM t',
    "SELECT name FROM system.tables WHERE database = 'clickstream'",
    "SELECT '; SELECT 2' /* ; */ -- ; DROP TABLE t",
    'SELECT name FROM system.functions UNION ALL SELECT name FROM system.table_functions LIMIT 10000',
  ]) {
    const answer = await ask('reader', sql);
    assert.equal(answer.code, null, `${sql}: ${answer.text}`);
  }
});

test('parameters are bound, whatever is in them', async () => {
  for (const value of [
    "it's",
    'a\\b',
    'line\nbreak\ttab',
    '{x:String}',
    'ü€😀',
    "'); DROP TABLE t; --",
  ]) {
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\t', '\\t');
    const query = `param_v=${encodeURIComponent(escaped)}`;
    for (const who of ['owner', 'reader'] as const) {
      const answer = await ask(who, 'SELECT {v:String} AS v FORMAT JSONEachRow', { query });
      assert.deepEqual(JSON.parse(answer.text), { v: value });
    }
  }
});

test('a placeholder without its parameter is refused, though an earlier statement had it', async () => {
  await own('SELECT {secret:String}', { query: 'param_secret=hidden' });
  for (let i = 0; i < 4; i++) {
    const answer = await ask('owner', 'SELECT {secret:String}');
    assert.equal(answer.code, '456');
  }
});

test('every format of an insert arrives', async () => {
  await own('CREATE TABLE f (a UInt64, b String) ENGINE = Memory');
  const inserts = [
    'INSERT INTO f FORMAT JSONEachRow\n{"a":1,"b":"x"}\n',
    'INSERT INTO f (a, b) FORMAT JSONCompactEachRow\n[2,"FORMAT JSON"]\n',
    'INSERT INTO clickstream.f FORMAT TabSeparated\n3\tx\n',
    'INSERT INTO f SETTINGS async_insert = 0 FORMAT CSV\n4,"a,b"\n',
    "INSERT INTO f VALUES (5, 'y')",
    'INSERT INTO f SELECT a + 5, b FROM f WHERE a = 1',
  ];
  for (const sql of inserts) await own(sql);
  await own('[7,"from the body"]\n', {
    query: `query=${encodeURIComponent('INSERT INTO f FORMAT JSONCompactEachRow')}`,
  });
  const { text } = await own('SELECT groupArray(a) FROM (SELECT a FROM f ORDER BY a)');
  assert.equal(text, '[1,2,3,4,5,6,7]\n');
});

test('the format comes from the statement, the parameter or the header', async () => {
  assert.equal((await own('SELECT 1 AS a FORMAT CSVWithNames')).text, '"a"\n1\n');
  assert.equal(
    (await own("SELECT 'FORMAT x' AS a", { query: 'default_format=CSV' })).text,
    '"FORMAT x"\n',
  );
  assert.equal(
    (await own('SELECT 1', { headers: { 'x-clickhouse-format': 'JSONCompactEachRow' } })).text,
    '[1]\n',
  );
  assert.equal((await own('SELECT 1 -- FORMAT CSV')).text, '1\n');
});

test('bytes of a binary format arrive as they are', async () => {
  const { bytes } = await own("SELECT toUInt64(255) AS a, unhex('ff00fe') AS b FORMAT Native");
  assert.equal(
    bytes.toString('hex'),
    '020101610655496e743634ff00000000000000016206537472696e6703ff00fe',
  );
});

test('gzip goes both ways', async () => {
  const packed = new Uint8Array(gzipSync("SELECT repeat('a', 10000)"));
  const answer = await ask('owner', packed, { headers: { 'content-encoding': 'gzip' } });
  assert.equal(answer.text, `${'a'.repeat(10_000)}\n`);
  assert.equal(answer.headers.get('content-encoding'), 'gzip');
  assert.equal(gunzipSync(gzipSync('x')).toString(), 'x');
});

test('errors have the number of ClickHouse in a header and words in the body', async () => {
  const missing = await ask('owner', 'SELECT * FROM nothing');
  assert.equal(missing.status, 404);
  assert.equal(missing.code, '60');
  assert.match(missing.text, /^Code: 60\. DB::Exception: .*UNKNOWN_TABLE/s);
  assert.equal((await ask('owner', 'SELEC 1')).code, '62');
  assert.equal((await ask('owner', 'SELECT 1', { query: 'no_such_setting=1' })).code, '115');
  assert.equal((await ask('owner', 'SELECT 1', { query: 'database=nowhere' })).code, '81');
  assert.equal((await ask('owner', 'SELECT 1 FORMAT Nothing')).code, '73');
});

test('GET reads only', async () => {
  const read = await ask('owner', '', { method: 'GET', query: 'query=SELECT%201' });
  assert.equal(read.text, '1\n');
  const write = await ask('owner', '', { method: 'GET', query: 'query=DROP%20TABLE%20t' });
  assert.equal(write.code, '164');
});

test("a driver's first questions are answered, and nothing is offered that is not honoured", async () => {
  const version = await ask('reader', 'SELECT version(), timezone()');
  assert.match(version.text, /^\d+\.\d+[\d.]*\tUTC\n$/);
  const first =
    'SELECT name, value, readonly as readonly FROM system.settings LIMIT 10000\n FORMAT Native';
  const settings = await ask('reader', first, {
    query: 'wait_end_of_query=1&database=clickstream',
  });
  assert.equal(settings.code, null);
  assert.ok(settings.bytes.includes('max_execution_time'));
  assert.ok(!settings.bytes.includes('allow_ddl'));
  const check = await ask('reader', 'SELECT 1 AS check\n FORMAT Native', {
    query: 'client_protocol_version=54405',
  });
  assert.equal(check.bytes.toString('hex'), '010105636865636b0555496e743801');
  const again = await ask('reader', 'SELECT 1 AS check\n FORMAT Native');
  assert.deepEqual(again.bytes, check.bytes);
});

test('what a failed statement had written so far never reaches the next answer', async () => {
  const slow = 'SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))';
  for (const who of ['owner', 'reader'] as const) {
    const failed = await ask(who, `${slow} FORMAT JSON`, { query: 'max_execution_time=1' });
    assert.equal(failed.code, '159');
    for (let i = 0; i < 4; i++) {
      const answer = await ask(who, 'SELECT count() AS c FROM t FORMAT JSONEachRow');
      assert.match(answer.text, /^\{"c":\d+\}\n$/);
    }
  }
});

test('a long question does not hold up an insert', async () => {
  const controller = new AbortController();
  let isDone = false;
  const long = ask(
    'owner',
    'SELECT count() FROM numbers(3000000000) WHERE NOT ignore(sipHash64(number))',
    {
      query: 'max_execution_time=3',
    },
  ).then(() => {
    isDone = true;
  });
  await own('INSERT INTO t (a, b) FORMAT JSONCompactEachRow\n[9,"meanwhile"]\n');
  assert.equal(isDone, false);
  controller.abort();
  await long;
});

test('a body over the limit is refused, and others are served', async () => {
  const size = 65 * MB;
  const refused = await ask('owner', new Uint8Array(size)).catch((error: Error) => error);
  if (!(refused instanceof Error)) assert.equal(refused.code, '307');
  assert.equal((await own('SELECT 1')).text, '1\n');
});

test('an insert that was killed before all of it had arrived is never run', async () => {
  const count = "SELECT count() FROM t WHERE b = 'late'";
  const path = `/?query=${encodeURIComponent('INSERT INTO t (a, b) FORMAT JSONCompactEachRow')}&query_id=late-1`;
  const auth = `${engine.owner.name}:${engine.owner.password}`;
  const sending = request(engine.url + path, {
    method: 'POST',
    auth,
    headers: { expect: '100-continue' },
  });
  sending.flushHeaders();
  await once(sending, 'continue');
  sending.write('[7,"late"]\n');
  await own("KILL QUERY WHERE query_id IN ('another', 'late-1') SYNC");
  sending.end('[8,"late"]\n');
  const [answer] = (await once(sending, 'response')) as [IncomingMessage];
  assert.equal(answer.resume().headers['x-clickhouse-exception-code'], '394');
  assert.equal((await own(count)).text, '0\n');
});

test('a killed engine serves again on the same port with every row', async () => {
  const rows = (await own('SELECT count() FROM t')).text;
  process.kill(engine.pid() ?? 0, 'SIGKILL');
  for (;;) {
    const answer = await ask('owner', 'SELECT count() FROM t').catch(() => undefined);
    if (answer === undefined) {
      await realClock.sleep(10);
      continue;
    }
    assert.equal(answer.text, rows);
    return;
  }
});

test('a port in use, and a folder in use, are said in one sentence', async () => {
  const other = await mkdtemp(join(tmpdir(), 'clickstream-engine-'));
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const address = blocker.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await assert.rejects(startEngine(options({ folder: other, port })), { code: 'port_in_use' });
  blocker.close();
  await assert.rejects(startEngine(options({ folder })), { code: 'data_in_use' });
  await rm(other, { recursive: true, force: true });
});

test('a start waits a moment for the port that the engine before it still holds', async () => {
  const other = await mkdtemp(join(tmpdir(), 'clickstream-engine-'));
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const address = blocker.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const sleep: typeof realClock.sleep = (ms, signal) => {
    blocker.close();
    return realClock.sleep(ms, signal);
  };
  const started = await startEngine({
    ...options({ folder: other, port }),
    clock: { ...realClock, sleep },
  });
  assert.equal(started.url, `http://127.0.0.1:${port}`);
  await started.close();
  await rm(other, { recursive: true, force: true });
});

test('the child ends when its parent is killed, whatever it does, and the folder is free', async () => {
  const other = await mkdtemp(join(tmpdir(), 'clickstream-engine-'));
  const script = join(other, 'parent.mjs');
  const start = new URL('./start.ts', import.meta.url).href;
  const clock = new URL('../base/clock.ts', import.meta.url).href;
  const logger = new URL('../base/logger.ts', import.meta.url).href;
  await writeFile(
    script,
    `import { startEngine } from '${start}'; import { realClock } from '${clock}'; import { createLogger } from '${logger}';
     const { url, owner } = await startEngine({ folder: ${JSON.stringify(other)}, port: 0, memoryBytesMax: 5e8, readers: 2, logger: createLogger('silent'), clock: realClock });
     process.send({ url, owner }); setInterval(() => undefined, 1000);`,
  );
  const parent = fork(script, { stdio: 'ignore' });
  const [{ url, owner }] = (await once(parent, 'message')) as [Pick<Engine, 'url' | 'owner'>];
  const askIt = (body: string) =>
    fetch(`${url}/?user=${owner.name}&password=${owner.password}`, { method: 'POST', body });
  const asked = askIt('SELECT count() FROM numbers(1e12) WHERE NOT ignore(sipHash64(number))');
  const isRunning = "SELECT count() FROM system.processes WHERE query LIKE '%1e12) WHERE NOT%'";
  while ((await (await askIt(isRunning)).text()) !== '2\n') await realClock.sleep(10);
  parent.kill('SIGKILL');
  await assert.rejects(asked);
  const next = await startEngine(options({ folder: other }));
  await next.close();
  await rm(other, { recursive: true, force: true });
});
