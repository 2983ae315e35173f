/** The collector as senders meet it: a real server on a free port, a real log in memory. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { realClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { createHttpServer, type HttpLimits } from '../base/http.ts';
import type { Logger } from '../base/logger.ts';
import { createMetrics } from '../base/metrics.ts';
import { decodeRecord } from '../event/wire.ts';
import type { Log } from '../log/log.ts';
import { createMemoryLog } from '../log/memory.ts';
import { type CollectOptions, collectRoutes } from './http.ts';
import { BODY_LIMITS, HTTP_LIMITS } from './limits.ts';
import { openSteps } from './steps.ts';

const KEY = 'test-key-1';
const ONE = '{"event_name":"a","event_id":"1"}';

interface SetUp extends Partial<CollectOptions> {
  timeoutMs?: number;
  httpLimits?: Partial<HttpLimits>;
}

async function setUp(t: TestContext, { timeoutMs, httpLimits, ...options }: SetUp = {}) {
  const dataFolder = mkdtempSync(join(tmpdir(), 'clickstream-http-'));
  const log = options.log ?? createMemoryLog({ partitions: 1 });
  const metrics = createMetrics();
  const faults: unknown[] = [];
  const keep = (...words: unknown[]) => faults.push(words);
  const logger = {
    debug: keep,
    info: keep,
    warn: keep,
    error: keep,
    fatal: keep,
  } as never as Logger;
  const keys = new Map([[KEY, 'shop']]);
  const routes = collectRoutes({
    ...{ log, keys, clock: realClock, metrics, trustProxy: false },
    steps: openSteps({ clock: realClock, dataFolder }),
    ...options,
  });
  const limits =
    timeoutMs === undefined ? {} : { headersTimeoutMs: timeoutMs, requestTimeoutMs: timeoutMs };
  const server = createHttpServer(routes, { ...HTTP_LIMITS, ...limits, ...httpLimits }, logger);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
    rmSync(dataFolder, { recursive: true });
    assert.deepEqual(faults, [], 'nothing is a fault of the server');
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    metrics,
    post: (body: string | Uint8Array, headers: Record<string, string> = {}, query = '') =>
      fetch(`${url}/v1/events${query}`, {
        method: 'POST',
        body: body as Uint8Array<ArrayBuffer>,
        headers: { authorization: `Bearer ${KEY}`, ...headers },
      }),
    async records() {
      const all = await log.read(0, 0, { recordsMax: 10_000, bytesMax: 1e9, waitMs: 0 });
      return all.map(({ bytes }) => decodeRecord(bytes));
    },
  };
}

async function errorOf(answer: Response): Promise<[status: number, code: string | undefined]> {
  const { error } = (await answer.json()) as { error?: { code: string } };
  return [answer.status, error?.code];
}

describe('bodies', () => {
  const taken: [title: string, body: string | Buffer, headers: Record<string, string>][] = [
    ['JSON', ONE, { 'content-type': 'application/json' }],
    ['JSON as a beacon sends it', ONE, { 'content-type': 'text/plain;charset=UTF-8' }],
    ['JSON of a form', ONE, { 'content-type': 'application/x-www-form-urlencoded' }],
    ['JSON with a byte order mark', `\ufeff${ONE}`, {}],
    ['a list', `[${ONE}]`, {}],
    ['an envelope', `{"events":[${ONE}],"sent_at":${Date.now()}}`, {}],
    ['a line', `${ONE}\n`, { 'content-type': 'application/x-ndjson' }],
    ['gzip', gzipSync(ONE), { 'content-encoding': 'gzip' }],
    ['gzip that is not named', gzipSync(ONE), { 'content-type': 'text/plain' }],
    ['gzip that is no longer', ONE, { 'content-encoding': 'gzip' }],
  ];
  for (const [title, body, headers] of taken) {
    test(`are taken: ${title}`, async (t) => {
      const { post, records } = await setUp(t);
      const answer = await post(body, headers);
      assert.deepEqual(await answer.json(), { accepted: 1, rejected: [] });
      assert.equal(answer.status, 202);
      const [record] = await records();
      assert.ok(record && 'event' in record && record.event.event_id === '1');
    });
  }

  test('are refused: another encoding, broken gzip, no JSON', async (t) => {
    const { post, records } = await setUp(t);
    const brotli = { 'content-encoding': 'br' };
    assert.deepEqual(await errorOf(await post(ONE, brotli)), [415, 'unsupported_media']);
    const half = gzipSync(ONE).subarray(0, 20);
    assert.deepEqual(await errorOf(await post(half)), [400, 'bad_request']);
    assert.deepEqual(await errorOf(await post('nonsense')), [400, 'not_json']);
    assert.deepEqual(await errorOf(await post('')), [400, 'not_json']);
    assert.deepEqual(await records(), []);
  });
});

test('a write key is taken as Bearer, as Basic, or in the address', async (t) => {
  const { post } = await setUp(t);
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  for (const authorization of [`bearer ${KEY}`, basic(`${KEY}:`), basic(KEY)]) {
    assert.equal((await post(ONE, { authorization })).status, 202, authorization);
  }
  assert.equal((await post(ONE, { authorization: '' }, `?key=${KEY}`)).status, 202);
  for (const authorization of ['', 'Bearer no', 'Bearer', basic('no:'), `Digest ${KEY}`]) {
    const refused = await post(ONE, { authorization });
    assert.deepEqual(await errorOf(refused), [401, 'unauthorized'], authorization);
  }
});

test('a page of another origin may send, and may read every answer', async (t) => {
  const { url, post } = await setUp(t);
  const origin = 'https://shop.example';
  const preflight = await fetch(`${url}/v1/events`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST' },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-methods'), 'POST');
  const allowed = preflight.headers.get('access-control-allow-headers') ?? '';
  for (const name of ['content-type', 'authorization', 'content-encoding']) {
    assert.ok(allowed.includes(name), name);
  }
  const answers = [preflight, await post(ONE, { origin }), await post('nonsense', { origin })];
  answers.push(await post(ONE, { origin, authorization: 'Bearer no' }));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [204, 202, 400, 401],
  );
  for (const { headers } of answers) {
    assert.equal(headers.get('access-control-allow-origin'), origin);
    assert.equal(headers.get('access-control-allow-credentials'), 'true');
    assert.match(headers.get('vary') ?? '', /origin/);
  }
});

test('a request whose every event is refused is a 400 that says why, each by itself', async (t) => {
  const { post, records } = await setUp(t);
  const answer = await post('[{},{"event_name":"a","quantity":"x"}]');
  assert.equal(answer.status, 400);
  assert.deepEqual(await answer.json(), {
    accepted: 0,
    rejected: [
      { index: 0, reason: 'missing', field: 'event_name' },
      { index: 1, reason: 'bad_format', field: 'quantity' },
    ],
    error: { code: 'all_rejected', message: 'Every event was refused.' },
  });
  assert.equal((await records()).length, 2);
  assert.equal((await post('[]')).status, 202, 'no events, none refused');
});

test('202 is answered only after the log has the events', async (t) => {
  const memory = createMemoryLog({ partitions: 1 });
  const [appending, durable] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const log: Log = {
    ...memory,
    async append(records) {
      appending.resolve();
      await durable.promise;
      return memory.append(records);
    },
  };
  const { post } = await setUp(t, { log });
  let isAnswered = false;
  const answer = post(ONE).finally(() => {
    isAnswered = true;
  });
  await appending.promise;
  assert.equal(isAnswered, false);
  durable.resolve();
  assert.equal((await answer).status, 202);
});

test('a full log is a 503 that says when to try again', async (t) => {
  const log = createMemoryLog({ partitions: 1, bytesMax: 1_000 });
  const { post, records } = await setUp(t, { log });
  const event = JSON.stringify({ event_name: 'a', title: 'x'.repeat(500) });
  assert.equal((await post(event)).status, 202);
  const answer = await post(event);
  assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/);
  assert.deepEqual(await errorOf(answer), [503, 'log_full']);
  assert.equal((await records()).length, 1);
  await log.commit(0, 1);
  assert.equal((await post(event)).status, 202);
});

test('a failing log is a 503, whatever else it says', async (t) => {
  const failing = () => Promise.reject(new AppError('stopping', 'closed'));
  const log = { ...createMemoryLog({ partitions: 1 }), append: failing };
  const { post } = await setUp(t, { log });
  const answer = await post(ONE);
  assert.equal(answer.headers.get('retry-after'), '1');
  assert.deepEqual(await errorOf(answer), [503, 'stopping']);
});

test('more than one address, or all together, may hold is refused for a moment', async (t) => {
  const loadLimits = { bytesMax: 1_000, addressBytesMax: 600, addressRequestsMax: 1 };
  const { post } = await setUp(t, { loadLimits, trustProxy: true });
  const event = (bytes: number) => JSON.stringify({ event_name: 'a', title: 'x'.repeat(bytes) });
  const tooMany = await post(event(700));
  assert.equal(tooMany.headers.get('retry-after'), '1');
  assert.deepEqual(await errorOf(tooMany), [429, 'too_many_requests']);
  assert.equal((await post(event(500))).status, 202);
});

test('requests beyond what one address may have at once are refused, others served', async (t) => {
  const memory = createMemoryLog({ partitions: 1 });
  const [appending, durable] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const append: Log['append'] = async (records) => {
    appending.resolve();
    await durable.promise;
    return memory.append(records);
  };
  const loadLimits = { bytesMax: 100, addressBytesMax: 100, addressRequestsMax: 1 };
  const { post } = await setUp(t, { log: { ...memory, append }, loadLimits, trustProxy: true });
  const first = post(ONE, { 'x-forwarded-for': '203.0.113.1' });
  await appending.promise;
  const second = await post(ONE, { 'x-forwarded-for': '203.0.113.1' });
  assert.deepEqual(await errorOf(second), [429, 'too_many_requests']);
  const other = post(ONE, { 'x-forwarded-for': '203.0.113.2' });
  const third = await post('x'.repeat(90), { 'x-forwarded-for': '203.0.113.3' });
  assert.deepEqual(await errorOf(third), [503, 'overloaded']);
  durable.resolve();
  assert.deepEqual([(await first).status, (await other).status], [202, 202]);
  assert.equal((await post(ONE, { 'x-forwarded-for': '203.0.113.1' })).status, 202);
});

test('the SDK is served to every page, and only when it has changed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'clickstream-sdk-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'sdk.js');
  const { url } = await setUp(t, { sdkFile: pathToFileURL(file) });
  assert.deepEqual(await errorOf(await fetch(`${url}/sdk.js`)), [404, 'not_found']);
  writeFileSync(file, 'one();');
  const first = await fetch(`${url}/sdk.js`);
  assert.equal(await first.text(), 'one();');
  assert.match(first.headers.get('content-type') ?? '', /^text\/javascript/);
  assert.match(first.headers.get('cache-control') ?? '', /max-age=\d+/);
  assert.equal(first.headers.get('access-control-allow-origin'), '*');
  const headers = { 'if-none-match': first.headers.get('etag') ?? '' };
  assert.equal((await fetch(`${url}/sdk.js`, { headers })).status, 304);
  writeFileSync(file, 'two();');
  assert.equal(await (await fetch(`${url}/sdk.js`, { headers })).text(), 'two();');
});

test('requests are counted by what was answered', async (t) => {
  const { post, metrics } = await setUp(t);
  for (const body of [ONE, ONE, 'nonsense', '{}']) await (await post(body)).text();
  const text = await metrics.text();
  assert.match(text, /clickstream_collect_requests_total\{code="accepted"\} 2\n/);
  assert.match(text, /clickstream_collect_requests_total\{code="not_json"\} 1\n/);
  assert.match(text, /clickstream_collect_requests_total\{code="all_rejected"\} 1\n/);
  assert.match(text, new RegExp(`clickstream_collect_bytes_total ${ONE.length * 2 + 10}\n`));
  assert.match(text, /clickstream_collect_bytes 0\n/);
});

describe('bad input harms nobody else', () => {
  const GOOD = '{"event_name":"good","event_id":"g"}';
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  const properties = JSON.stringify(
    Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`p${i}`, i])),
  );

  /** Events that are refused alone, and by themselves when they come with a good one. */
  const events: [title: string, event: string, reason: string, field: string][] = [
    ['a wrong type', '{"event_name":["a"]}', 'wrong_type', 'event_name'],
    ['1,000 levels', `{"event_name":"a","deep":${nested(1_000)}}`, 'too_deep', 'properties'],
    [
      '10,000 properties',
      properties.replace('{', '{"event_name":"a",'),
      'too_many_properties',
      'properties',
    ],
    ['half of a character', '{"event_name":"\\ud83d"}', 'bad_text', 'event_name'],
    ['a NUL', '{"event_name":"a\\u0000"}', 'bad_text', 'event_name'],
    ['year 0', '{"event_name":"a","event_time":"0000-01-01"}', 'out_of_range', 'event_time'],
    [
      'year 9999',
      '{"event_name":"a","event_time":"9999-12-31T23:59:59Z"}',
      'out_of_range',
      'event_time',
    ],
    [
      'the day after tomorrow',
      `{"event_name":"a","event_time":${Date.now() + 2 * 86_400_000}}`,
      'out_of_range',
      'event_time',
    ],
    ['birth in year 0', '{"event_name":"a","birthdate":"0000-01-01"}', 'out_of_range', 'birthdate'],
    ['a negative counter', '{"event_name":"a","sequence":-1}', 'out_of_range', 'sequence'],
    ['a huge number', '{"event_name":"a","quantity":1e308}', 'out_of_range', 'quantity'],
    [
      'a number beyond numbers',
      '{"event_name":"a","item_price":1e999}',
      'out_of_range',
      'item_price',
    ],
    ['a long name', `{"event_name":"${'a'.repeat(200)}"}`, 'too_long', 'event_name'],
    ['a huge event', `{"event_name":"a","text":"${'a'.repeat(70_000)}"}`, 'too_large', ''],
    ['the pipeline’s own fields', '{"event_name":"a","log_offset":1}', 'reserved', 'log_offset'],
    ['no object', '[]', 'not_an_object', ''],
  ];
  for (const [title, event, reason, field] of events) {
    test(`an event with ${title} is refused, its neighbours are stored`, async (t) => {
      const { post, records } = await setUp(t);
      const answer = await post(`[${GOOD},${event},${GOOD}]`);
      assert.equal(answer.status, 202);
      const rejected = [{ index: 1, reason, field }];
      assert.deepEqual(await answer.json(), { accepted: 2, rejected });
      const alone = await post(`[${event}]`);
      assert.deepEqual(await errorOf(alone), [400, 'all_rejected']);
      const kinds = (await records()).map((record) => Object.keys(record)[0]);
      assert.deepEqual(kinds, ['event', 'rejected', 'event', 'rejected']);
    });
  }

  const bodies: [title: string, body: string | Buffer, status: number, code: string][] = [
    [
      'garbage',
      Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 7919) % 251)),
      400,
      'not_json',
    ],
    [
      'invalid UTF-8',
      Buffer.from([...Buffer.from('{"event_name":"'), 0xff, 0x22, 0x7d]),
      400,
      'not_json',
    ],
    ['a NUL byte', '{"event_name":"a\0"}', 400, 'not_json'],
    ['a million levels', '['.repeat(1_000_000), 400, 'bad_request'],
    ['a gzip bomb', gzipSync(Buffer.alloc(32 * 1024 * 1024, ' ')), 413, 'too_large'],
    ['too many bytes', 'x'.repeat(BODY_LIMITS.bodyBytesMax + 1), 413, 'too_large'],
    ['too many events', `[${Array(BODY_LIMITS.eventsMax + 1).fill(GOOD)}]`, 413, 'too_large'],
  ];
  for (const [title, body, status, code] of bodies) {
    test(`a body of ${title} is refused as a whole: ${status} ${code}`, async (t) => {
      const { post, records } = await setUp(t);
      const bad = post(body).then(errorOf);
      const good = await post(GOOD);
      assert.equal(good.status, 202);
      assert.deepEqual(await bad, [status, code]);
      assert.equal((await records()).length, 1);
    });
  }

  test('a body of 100 MB without a length is refused while it arrives', async (t) => {
    const { url, post, records, metrics } = await setUp(t);
    const headers = { authorization: `Bearer ${KEY}` };
    const sending = httpRequest(`${url}/v1/events`, { method: 'POST', headers });
    const ended = Promise.withResolvers<number | string | undefined>();
    sending.on('response', (answer) => ended.resolve(answer.resume().statusCode));
    sending.on('error', (error: NodeJS.ErrnoException) => ended.resolve(error.code));
    const chunk = Buffer.alloc(1_000_000, 'x');
    Readable.from(Array(100).fill(chunk)).pipe(sending);
    assert.ok([413, 'ECONNRESET', 'EPIPE'].includes((await ended.promise) ?? ''));
    assert.equal((await post(GOOD)).status, 202);
    assert.equal((await records()).length, 1);
    assert.match(await metrics.text(), /requests_total\{code="too_large"\} 1\n/);
  });

  test('a sender that reads only when all is sent still gets its answer', async (t) => {
    const { port } = await setUp(t);
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    const length = BODY_LIMITS.bodyBytesMax * 3;
    const head = `POST /v1/events?key=${KEY} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;
    await promisify<string>(socket.write.bind(socket))(head);
    for (let sent = 0; sent < length; sent += length / 64) {
      await promisify<string>(socket.write.bind(socket))('x'.repeat(length / 64));
    }
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 413 /);
  });

  test('a slow sender is ended, others are served meanwhile', async (t) => {
    const { port, post, records } = await setUp(t, { timeoutMs: 600 });
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    const head = `POST /v1/events?key=${KEY} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{`;
    socket.write(head);
    assert.equal((await post(GOOD)).status, 202);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 408 /);
    await once(socket.resume(), 'close');
    assert.equal((await records()).length, 1);
    assert.equal((await post(GOOD)).status, 202);
  });

  test('an address that opens too many connections leaves room for others', async (t) => {
    const { port } = await setUp(t, {
      httpLimits: { connectionsMax: 6, addressConnectionsMax: 4 },
    });
    const open = async (from: string) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: from });
      socket.on('error', () => undefined);
      t.after(() => socket.destroy());
      await once(socket, 'connect');
      return socket.resume();
    };
    const first = await open('127.0.0.1');
    for (let i = 1; i < 4; i++) await open('127.0.0.1');
    const fifth = await open('127.0.0.1');
    await once(fifth, 'close');
    /** The answer, or nothing when the connection was closed. */
    const ask = async (from: string) => {
      const socket = await open(from);
      let answer = '';
      socket.on('data', (chunk) => (answer += chunk));
      socket.write(
        `POST /v1/events?key=${KEY} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${GOOD.length}\r\n\r\n${GOOD}`,
      );
      await once(socket, 'close');
      return answer.slice(0, 12);
    };
    assert.equal(await ask('127.0.0.2'), 'HTTP/1.1 202');
    first.destroy();
    // Free again once the server has seen the end of it.
    while ((await ask('127.0.0.1')) !== 'HTTP/1.1 202');
  });

  test('of an aborted request nothing is kept', async (t) => {
    const { port, post, records, metrics } = await setUp(t);
    const socket = connect(port, '127.0.0.1');
    const head = `POST /v1/events?key=${KEY} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n${GOOD}`;
    await new Promise((resolve) => socket.write(head, resolve));
    while (!/collect_bytes [1-9]/.test(await metrics.text())) await post(GOOD);
    socket.destroy();
    while (!/collect_bytes 0/.test(await metrics.text())) await post(GOOD);
    const kept = await records();
    assert.ok(kept.every((record) => 'event' in record));
    assert.match(await metrics.text(), /requests_total\{code="timeout"\} 1\n/);
    const text = await metrics.text();
    assert.match(text, new RegExp(`requests_total\\{code="accepted"\\} ${kept.length}\n`));
  });
});
