/** The engine's HTTP front from outside: as its owner, and as a driver. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { MB, openTestEngine, type TestEngine } from './test-engine.ts';

let engine: TestEngine['engine'];
let ask: TestEngine['ask'];
let own: TestEngine['own'];
let folder: string;
const opened = openTestEngine();

before(async () => {
  ({ engine, ask, own, folder } = await opened);
});
after(async () => (await opened).close());

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
  const { mode } = statSync(join(folder, 'users.json'));
  assert.equal(mode & 0o777, 0o600);
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

test('a statement over the size that the engine takes is refused, one in two pieces too', async () => {
  const long = `SELECT ${'1 + '.repeat(70_000)}1`;
  assert.equal((await ask('owner', long)).code, '62');
  const two = await ask('reader', long.slice(10), { query: 'query=SELECT%201%20%2B' });
  assert.equal(two.code, '62');
});

test('what unpacks to more than is taken is refused', async () => {
  const bomb = new Uint8Array(gzipSync(Buffer.alloc(8 * MB, ' ')));
  const headers = { 'content-encoding': 'gzip' };
  assert.equal((await ask('reader', bomb, { headers })).code, '307');
  const notGzip = await ask('reader', 'SELECT 1', { headers });
  assert.equal(notGzip.code, '354');
});

test('a statement in the address goes on in the body', async () => {
  const query = `query=${encodeURIComponent('SELECT a FROM t WHERE b = ')}`;
  for (const who of ['owner', 'reader'] as const) {
    const answer = await ask(who, '{v:String} FORMAT CSV', { query: `${query}&param_v=two` });
    assert.equal(answer.text, '2\n');
  }
});

test('a form carries the statement, its parameters and settings', async () => {
  const boundary = 'x-1';
  const field = (name: string, value: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
  const fields = [
    field('query', 'SELECT a FROM t WHERE b = {v:String} FORMAT JSONEachRow'),
    field('param_v', 'two'),
    field('output_format_json_quote_64bit_integers', '1'),
  ].join('');
  const answer = await ask('reader', `${fields}--${boundary}--\r\n`, { headers });
  assert.equal(answer.text, '{"a":"2"}\n');
  const unknown = await ask('reader', `${fields}${field('readonly', '0')}--${boundary}--\r\n`, {
    headers,
  });
  assert.equal(unknown.code, '115');
  assert.equal((await ask('reader', 'no form', { headers })).code, '36');
});

test('GET reads only', async () => {
  const read = await ask('owner', '', { method: 'GET', query: 'query=SELECT%201' });
  assert.equal(read.text, '1\n');
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
    const write = await ask('owner', '', { method, query: 'query=DROP%20TABLE%20t' });
    assert.equal(write.code, '164', method);
  }
  // No kind of statement at its beginning, and two at once.
  for (const sql of ['SELECT 1; DROP TABLE t', "SELECT 1 INTO OUTFILE '/nowhere/x'"]) {
    const query = `query=${encodeURIComponent(sql)}`;
    const { code } = await ask('owner', '', { method: 'GET', query });
    assert.match(code ?? '', /^(62|497)$/);
  }
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

test("a JDBC driver's request is answered in the format of its header", async () => {
  const { bytes, code, headers } = await ask('reader', 'SELECT toUInt8(7) AS a', {
    query: 'query_id=16087e9e&wait_end_of_query=0&async_insert=0',
    headers: {
      'x-clickhouse-format': 'RowBinaryWithNamesAndTypes',
      'x-clickhouse-database': 'clickstream',
      'x-clickhouse-query-id': '16087e9e',
      'accept-encoding': 'gzip, x-gzip, deflate',
    },
  });
  assert.equal(code, null);
  assert.equal(bytes.toString('hex'), '0101610555496e743807');
  assert.equal(headers.get('x-clickhouse-query-id'), '16087e9e');
});

test("a dashboard's GET with the statement in the address is answered as JSON", async () => {
  const sql = 'SELECT a AS t, b FROM t WHERE a >= 2 ORDER BY t FORMAT JSON';
  const query = `query=${encodeURIComponent(sql)}&database=clickstream&max_execution_time=10`;
  const { text } = await ask('reader', '', { method: 'GET', query });
  assert.deepEqual(JSON.parse(text).data, [{ t: 2, b: 'two' }]);
});

test('an answer without rows is empty in Native, and has its columns in JSON', async () => {
  const sql = 'SELECT a FROM t WHERE 0';
  assert.equal((await ask('reader', `${sql} FORMAT Native`)).bytes.length, 0);
  const again = await ask('reader', `SELECT * FROM (${sql}) LIMIT 0 FORMAT JSON`);
  assert.deepEqual(JSON.parse(again.text).meta, [{ name: 'a', type: 'UInt64' }]);
});

test('many connections of others do not keep the owner out', async () => {
  const port = Number(new URL(engine.url).port);
  const sockets = Array.from({ length: 300 }, () => connect(port, '127.0.0.1'));
  for (const socket of sockets) socket.on('error', () => undefined);
  await once(sockets.at(-1) ?? process, 'connect');
  assert.equal((await own('SELECT 1')).text, '1\n');
  // The oldest of them had to go.
  const [oldest] = sockets;
  if (oldest?.closed === false) await once(oldest, 'close');
  for (const socket of sockets) socket.destroy();
});

test('questions of which nobody takes the answer do not fill the memory', async () => {
  const port = Number(new URL(engine.url).port);
  const { name, password } = engine.reader;
  const sql = "SELECT repeat('a', 1000000) FROM numbers(60)";
  const head = `POST / HTTP/1.1\r\nhost: x\r\nauthorization: Basic ${btoa(`${name}:${password}`)}`;
  const sockets = Array.from({ length: 8 }, () => {
    const socket = connect(port, '127.0.0.1').pause();
    socket.write(`${head}\r\ncontent-length: ${sql.length}\r\n\r\n${sql}`);
    return socket;
  });
  for (;;) {
    const { code } = await ask('reader', 'SELECT 2');
    if (code === '202') break;
  }
  assert.equal((await own('SELECT 2')).text, '2\n');
  for (const socket of sockets) socket.destroy();
  for (;;) {
    const { text } = await ask('reader', 'SELECT 2');
    if (text === '2\n') break;
  }
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

test('a statement works on two cores, though the engine may use less than a GiB for each', async () => {
  const { ask } = await opened;
  for (const user of ['owner', 'reader'] as const) {
    const { text } = await ask(user, 'EXPLAIN PIPELINE SELECT sum(number) FROM numbers(100000000)');
    assert.match(text, /Resize 1 → 2/, user);
  }
});

test('a long question does not hold up an insert', async () => {
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
  await long;
});

test('a body over the limit is refused, and others are served', async () => {
  const size = 65 * MB;
  const refused = await ask('owner', new Uint8Array(size)).catch((error: Error) => error);
  if (!(refused instanceof Error)) assert.equal(refused.code, '307');
  assert.equal((await own('SELECT 1')).text, '1\n');
});
