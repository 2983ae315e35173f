/** The read API as readers meet it: who may read, what an address answers, and slow watchers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { realClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { createHttpServer } from '../base/http.ts';
import { createLogger } from '../base/logger.ts';
import { createMetrics } from '../base/metrics.ts';
import { queryRoutes } from './http.ts';
import type { Live } from './live.ts';
import type { Questions } from './run.ts';

const LIMITS = {
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 5_000,
  connectionsMax: 100,
  addressConnectionsMax: 100,
  headerBytesMax: 16_384,
};
/** Answers every question with one row; what the store says is sql.test.ts's business. */
const questions: Questions = {
  names: ['top_pages'],
  header: () => ({ answers: '', takes: '', reads: '', costs: '' }),
  answer: async () => ({
    columns: [{ name: 'path', type: 'String' }],
    rows: [{ path: '=1+1', views: 1, visitors: 1 }],
    freshness: { stored_until: '', behind_ms: 0 },
    took_ms: 1,
  }),
};
const nobody: Live = { watch: async () => undefined, sources: () => 0 };

async function setUp(t: TestContext, { login = '', live = nobody } = {}) {
  const dashboard = mkdtempSync(join(tmpdir(), 'clickstream-query-'));
  writeFileSync(join(dashboard, 'index.html'), 'the page');
  const stopping = new AbortController();
  const isOurHost = (host: string): boolean => host.startsWith('127.0.0.1:');
  const metrics = createMetrics();
  const routes = queryRoutes({
    ...{ questions, live, clock: realClock, metrics, login, isOurHost, dashboard },
    stopping: stopping.signal,
  });
  const server = createHttpServer(routes, LIMITS, createLogger('silent'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
    rmSync(dashboard, { recursive: true });
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, stopping, metrics };
}

const LIVE = '/api/projects/shop/live';
const PAGES = '/api/projects/shop/top_pages';

test('reading asks for the login in the way that browsers know', async (t) => {
  const { url } = await setUp(t, { login: 'reader:a long password' });
  for (const path of ['/', PAGES, LIVE, '/api/questions']) {
    for (const given of [undefined, 'reader:another', 'reader:a long password:', 'nobody']) {
      const headers: Record<string, string> =
        given === undefined ? {} : { authorization: `Basic ${btoa(given)}` };
      const answer = await fetch(url + path, { headers });
      assert.equal(answer.status, 401, path);
      assert.match(answer.headers.get('www-authenticate') ?? '', /^Basic realm=/);
    }
  }
  const headers = { authorization: `Basic ${btoa('reader:a long password')}` };
  assert.equal((await fetch(url + PAGES, { headers })).status, 200);
});

test('a page elsewhere cannot read by a name that was made to point here', async (t) => {
  const { port } = await setUp(t);
  for (const [host, status] of [
    [`127.0.0.1:${port}`, 200],
    [`rebound.example:${port}`, 403],
    ['evil.example', 403],
  ] as const) {
    const asking = request({ port, host: '127.0.0.1', path: PAGES, headers: { host } }).end();
    const [answer] = await once(asking, 'response');
    assert.equal(answer.resume().statusCode, status, host);
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
  }
});

test('an address of the API that is none is a 404 and never the page', async (t) => {
  const { url } = await setUp(t);
  for (const [path, method, status] of [
    ['/api/nothing', 'GET', 404],
    ['/api/projects/shop', 'GET', 404],
    [`${PAGES}/more`, 'GET', 404],
    ['/api/nothing', 'POST', 404],
    [PAGES, 'POST', 405],
    [PAGES, 'DELETE', 405],
  ] as const) {
    const answer = await fetch(url + path, { method });
    assert.equal(answer.status, status, `${method} ${path}`);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
    if (status === 405) assert.equal(answer.headers.get('allow'), 'GET');
  }
  assert.equal(await (await fetch(`${url}/shop/overview`)).text(), 'the page');
});

test('a question is answered as CSV to whoever asks for it, by header or by name', async (t) => {
  const { url } = await setUp(t);
  const typeOf = async (query: string, accept: string): Promise<string> => {
    const answer = await fetch(url + PAGES + query, { headers: { accept } });
    return answer.headers.get('content-type')?.split(';')[0] ?? '';
  };
  assert.equal(await typeOf('', 'text/csv, */*;q=0.1'), 'text/csv');
  assert.equal(await typeOf('?format=csv', '*/*'), 'text/csv');
  assert.equal(await typeOf('?format=json', 'text/csv'), 'application/json');
  assert.equal(await typeOf('', 'application/json'), 'application/json');
  assert.equal((await fetch(`${url}${PAGES}?format=xml`)).status, 400);
});

test('a stream that cannot be opened says why', async (t) => {
  const watch = async (): Promise<void> => {
    throw new AppError('too_many_requests', 'Too many.', { retryAfterS: 5 });
  };
  const { url } = await setUp(t, { live: { ...nobody, watch } });
  const answer = await fetch(url + LIVE);
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get('retry-after'), '5');
});

/** A live view whose messages the test writes. */
function createTold() {
  const told: Parameters<Live['watch']>[1][] = [];
  const signals: AbortSignal[] = [];
  const watch: Live['watch'] = async (_asked, tell, signal) => {
    told.push(tell);
    signals.push(signal);
  };
  const lag = { event: 'lag', data: { behind_ms: 1 } } as const;
  const all = (times: number): void => {
    for (let i = 0; i < times; i++) for (const tell of told) tell(lag);
  };
  return { live: { ...nobody, watch }, all, signals };
}

async function watchWithoutReading(port: number) {
  const socket = connect(port, '127.0.0.1');
  socket.write(`GET ${LIVE} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n\r\n`);
  await once(socket, 'data');
  return socket.pause();
}

test('a watcher that does not read is dropped, and its place is free again', async (t) => {
  const { live, all, signals } = createTold();
  const { port, metrics } = await setUp(t, { live });
  const socket = await watchWithoutReading(port);
  t.after(() => socket.destroy());
  const left = once(signals[0] as AbortSignal, 'abort');
  while (signals[0]?.aborted === false) {
    all(10_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await left;
  assert.match(await metrics.text(), /clickstream_live_streams 0\n/);
});

test('a message after the end of a stream is dropped, whatever the watcher reads', async (t) => {
  const { live, all } = createTold();
  const { port, stopping } = await setUp(t, { live });
  const socket = await watchWithoutReading(port);
  t.after(() => socket.destroy());
  all(10_000);
  stopping.abort();
  all(1);
  socket.resume();
  await once(socket, 'end');
});
