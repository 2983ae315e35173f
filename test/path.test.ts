/**
 * One event from HTTP to answer, through the whole system as it is started. Read this first.
 *
 * cluster/path.cluster.ts has the same cases run on the log that CLICKSTREAM_TEST_LOG names.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { readUsers } from '../src/engine/users.ts';
import type { PipelineAnswer } from '../src/process/pipeline/answer.ts';
import type { Answer, LiveUpdate, Question } from '../src/query/questions.ts';
import { removeFolder, type SystemProcess, startSystem, temporaryFolder } from './system.ts';

let system: SystemProcess;
let data: string;

before(async () => {
  data = await temporaryFolder('path');
  const log = process.env.CLICKSTREAM_TEST_LOG;
  system = await startSystem(data, {
    CLICKSTREAM_TRUST_PROXY: 'yes',
    ...(log !== undefined && { CLICKSTREAM_LOG: log }),
  });
});

after(async () => {
  await system.stop();
  await removeFolder(data);
});

interface Taken {
  accepted: number;
  rejected: { index: number; reason: string; field: string }[];
}

async function send(body: unknown, headers: Record<string, string> = {}): Promise<[number, Taken]> {
  const response = await fetch(`${system.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: 'Bearer shop-dev-key', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return [response.status, (await response.json()) as Taken];
}

async function ask<Q extends Question>(question: Q, query = 'range=1h'): Promise<Answer<Q>> {
  const response = await fetch(`${system.url}/api/projects/shop/${question}?${query}`);
  const body = await response.text();
  assert.equal(response.status, 200, body);
  return JSON.parse(body) as Answer<Q>;
}

/** Asks until the answer is as wanted; the answer is made within a fraction of a second. */
async function until<Q extends Question>(
  question: Q,
  query: string,
  wanted: (answer: Answer<Q>) => boolean,
): Promise<Answer<Q>> {
  for (;;) {
    const answer = await ask(question, query);
    if (wanted(answer)) return answer;
  }
}

const isEvent = (name: string): string => `range=1h&bots=in&f=event_name:is:${name}`;

test('an event is in the answer after its 202', async () => {
  const [status, taken] = await send({ event_name: 'FIRST', event_id: 'first-1' });
  assert.equal(status, 202);
  assert.deepEqual(taken, { accepted: 1, rejected: [] });
  const answer = await until('totals', isEvent('FIRST'), ({ rows }) => rows[0]?.events === 1);
  assert.ok(answer.freshness.behind_ms >= 0);
  assert.ok(Date.parse(answer.freshness.stored_until) > 0);
});

test('a repeated event is answered alike and counted once', async () => {
  for (let i = 0; i < 3; i++) {
    const [status, taken] = await send({ event_name: 'AGAIN', event_id: 'again-1' });
    assert.deepEqual([status, taken.accepted], [202, 1]);
  }
  await send({ event_name: 'AGAIN', event_id: 'again-2' });
  const { rows } = await until('totals', isEvent('AGAIN'), (a) => (a.rows[0]?.events ?? 0) >= 2);
  assert.equal(rows[0]?.events, 2);
});

test('one bad event of a batch is refused with its reason and the others are stored', async () => {
  const [status, taken] = await send([
    { event_name: 'MIXED', event_id: 'm-1' },
    { event_id: 'm-2' },
    { event_name: 'MIXED', event_id: 'm-3', quantity: 'many' },
    { event_name: 'MIXED', event_id: 'm-4' },
  ]);
  assert.equal(status, 202);
  assert.equal(taken.accepted, 2);
  assert.deepEqual(taken.rejected, [
    { index: 1, reason: 'missing', field: 'event_name' },
    { index: 2, reason: 'bad_format', field: 'quantity' },
  ]);
  await until('totals', isEvent('MIXED'), ({ rows }) => rows[0]?.events === 2);
});

test('an event of the original 21-field shape lands in the right columns', async () => {
  const original = {
    session_id: 'o-session',
    event_id: 'o-1',
    event_name: 'BOOKING',
    event_time: new Date().toISOString(),
    traffic_source: 'MOBILE',
    booking_id: 'o-booking',
    customer_id: '42',
    gender: 'F',
    birthdate: '1990-05-17',
    purchased_product_id: '15970',
    purchased_quantity: '2',
    purchased_masterCategory: 'Apparel',
    purchased_subCategory: 'Topwear',
    item_price: '12.5',
    payment_method: 'Gopay',
    payment_status: 'Success',
  };
  const [status] = await send(original);
  assert.equal(status, 202);
  const query = 'range=1h&bots=in&f=session_id:is:o-session';
  const { rows } = await until('totals', query, (a) => a.rows[0]?.events === 1);
  assert.equal(rows[0]?.orders, 1);
  assert.equal(rows[0]?.revenue, '25');
  const categories = await ask('orders_by_category', query);
  assert.deepEqual(categories.rows, [
    { master_category: 'Apparel', sub_category: 'Topwear', orders: 1 },
  ]);
  const genders = await ask('orders_by_gender_and_category', query);
  assert.deepEqual(genders.rows, [{ gender: 'F', master_category: 'Apparel', orders: 1 }]);
});

test('the live stream starts with a snapshot and tells what changes', async () => {
  const stopped = new AbortController();
  const response = await fetch(`${system.url}/api/projects/shop/live?bots=in`, {
    signal: stopped.signal,
  });
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  const messages = readMessages(response);
  const first = await messages.next();
  assert.equal(first.value?.event, 'snapshot');
  await send({ event_name: 'MOVED', event_id: 'moved-1' });
  for await (const { event, data } of messages) {
    if (event !== 'delta') continue;
    if (data.latest.some((latest) => latest.event_name === 'MOVED')) {
      assert.ok(data.minutes.length >= 1);
      break;
    }
  }
  stopped.abort();
});

async function* readMessages(
  response: Response,
): AsyncGenerator<{ event: string; data: LiveUpdate }> {
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString('utf8');
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const message = text.slice(0, end);
      text = text.slice(end + 2);
      const event = /^event: (.+)$/m.exec(message)?.[1];
      const data = /^data: (.+)$/m.exec(message)?.[1];
      if (event !== undefined && data !== undefined)
        yield { event, data: JSON.parse(data) as LiveUpdate };
    }
  }
}

test('a question is answered as CSV as well', async () => {
  const response = await fetch(`${system.url}/api/projects/shop/events_by_name?bots=in`, {
    headers: { accept: 'text/csv' },
  });
  assert.match(response.headers.get('content-type') ?? '', /^text\/csv/);
  assert.match(await response.text(), /^event_name,events,visits\r\n/);
});

test('a wrong question or parameter is answered with what there is', async () => {
  for (const [path, status, words] of [
    ['no_such_question', 404, /top_pages/],
    ['totals?range=fortnight', 400, /15m, 1h/],
    ['totals?f=password:is:x', 400, /field:operator:value/],
    ['totals?zone=Mars', 400, /IANA/],
    ['totals?colour=red', 400, /not a parameter/],
    ['totals?limit=100000', 400, /1 to 1000/],
  ] as const) {
    const response = await fetch(`${system.url}/api/projects/shop/${path}`);
    assert.equal(response.status, status, path);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    assert.match(error.message, words);
  }
});

test('a page under another name cannot read, and nothing here asks it in', async () => {
  const { port } = new URL(system.url);
  const { request } = await import('node:http');
  const status = await new Promise((resolve) => {
    request(
      {
        port,
        host: '127.0.0.1',
        path: '/api/questions',
        headers: { host: `evil.example:${port}` },
      },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    ).end();
  });
  assert.equal(status, 403);
  const response = await fetch(`${system.url}/api/questions`, {
    headers: { origin: 'http://evil.example' },
  });
  assert.equal(response.headers.get('access-control-allow-origin'), null);
});

test('health, readiness and metrics are answered', async () => {
  assert.equal((await fetch(`${system.url}/health`)).status, 200);
  assert.deepEqual(await (await fetch(`${system.url}/ready`)).json(), { ready: true, waiting: {} });
  const metrics = await (await fetch(`${system.url}/metrics`)).text();
  for (const name of [
    'clickstream_log_end',
    'clickstream_log_committed',
    'clickstream_behind_seconds',
  ]) {
    assert.match(metrics, new RegExp(`^${name}\\{?`, 'm'));
  }
});

test('the address of the sender is written nowhere', async () => {
  const address = '203.0.113.77';
  const from = { 'x-forwarded-for': address, 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)' };
  await send([{ event_name: 'PRIVATE', event_id: 'p-1' }, { event_id: 'p-2' }], from);
  for (const body of ['{ not json', '{}', 'x'.repeat(3_000_000)]) await send(body, from);
  await send({ event_name: 'PRIVATE' }, { ...from, authorization: 'Bearer nobody' });
  await until('totals', isEvent('PRIVATE'), ({ rows }) => rows[0]?.events === 1);
  const written = [Buffer.from(system.output())];
  for (const entry of await filesBelow(data)) {
    if (!entry.isFile()) continue;
    // The store works meanwhile: its temporary files may be gone.
    const read = readFile(join(entry.parentPath, entry.name)).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        return Buffer.alloc(0);
      },
    );
    written.push(await read);
  }
  // The files of the store are packed: its rows are read as well.
  const { owner } = readUsers(join(data, 'store'));
  const rows = await fetch(`${system.engineUrl}/?database=clickstream`, {
    method: 'POST',
    headers: { 'x-clickhouse-user': owner.name, 'x-clickhouse-key': owner.password },
    body: "SELECT * FROM records WHERE project_id = 'shop' FORMAT JSONEachRow",
  });
  const text = await rows.text();
  assert.match(text, /"event_id":"p-1"/);
  assert.match(text, /"reason":"missing"/);
  written.push(Buffer.from(text));
  for (const file of written) assert.equal(file.includes(address), false);
});

/** The store works meanwhile: a folder that was just there may be gone, and then it is looked again. */
async function filesBelow(folder: string): Promise<Dirent[]> {
  for (;;) {
    try {
      return await readdir(folder, { recursive: true, withFileTypes: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

test('whatever bytes are sent, they are answered with a reason, and each event is one row', async (t) => {
  const seed = Number(process.env.CLICKSTREAM_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const name = fc.constantFrom('event_time', 'sent_at', 'quantity', 'value', 'url', 'items', 'v');
  const odd = fc.constantFrom(
    '"\\ud800"',
    '"\\u0000"',
    '1e999',
    '{"__proto__":{"a":1}}',
    '[[[[1]]]]',
  );
  const other = fc.constantFrom(
    '""',
    'null',
    '9007199254740993',
    '"9999-12-31"',
    '-0',
    '"http://["',
  );
  const field = fc
    .tuple(fc.oneof(name, fc.constantFrom('__proto__', 'properties')), fc.oneof(odd, other))
    .map(([key, value]) => `,"${key}":${value}`);
  const event = fc
    .tuple(fc.nat(50), fc.array(field, { maxLength: 4 }))
    .map(([id, fields]) => `{"event_name":"ODD","event_id":"odd-${id}"${fields.join('')}}`);
  const bytes = fc.array(event, { maxLength: 4 }).map((events) => Buffer.from(`[${events}]`));
  const broken = fc
    .tuple(bytes, fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { maxLength: 3 }))
    .map(([body, changes]) => {
      for (const [at, byte] of changes) body[at % body.length] = byte;
      return body;
    });
  const type = fc.constantFrom('application/json', 'application/x-ndjson', 'text/plain');
  const send = fc.asyncProperty(broken, type, async (body, contentType) => {
    const response = await fetch(`${system.url}/v1/events?key=shop-dev-key`, {
      method: 'POST',
      body,
      headers: { 'content-type': contentType },
    });
    const answer = (await response.json()) as Partial<Taken> & { error?: { code: string } };
    assert.ok([202, 400].includes(response.status), `${response.status}`);
    if (response.status === 400) assert.ok(answer.error?.code);
  });
  await fc.assert(send, { seed, numRuns: 400 });
  const metrics = async (): Promise<string> => (await fetch(`${system.url}/metrics`)).text();
  while (!/^clickstream_behind_seconds 0$/m.test(await metrics()));
});

test('the sum closes: every record of the log is one row', async () => {
  const ask = async (): Promise<PipelineAnswer> => {
    const response = await fetch(`${system.url}/api/pipeline`);
    return (await response.json()) as PipelineAnswer;
  };
  const scrape = async (): Promise<(name: string) => number> => {
    const metrics = await (await fetch(`${system.url}/metrics`)).text();
    // Of the log a number for each partition.
    return (name) =>
      [...metrics.matchAll(new RegExp(`^${name} (\\d+)$`, 'gm'))].reduce(
        (total, [, value]) => total + Number(value),
        0,
      );
  };
  const end = (await scrape())('clickstream_log_end\\{.*\\}');
  let sum = await ask();
  // An answer holds for some seconds: this one may be older than the last record.
  while (sum.total.accepted < end || sum.total.waiting > 0) sum = await ask();
  const { accepted, stored, duplicate, rejected, removed, waiting, missing } = sum.total;
  assert.equal(accepted, stored + duplicate + rejected + removed + waiting);
  assert.deepEqual([sum.closed, missing, removed], [true, 0, 0]);
  assert.ok(duplicate >= 2 && rejected >= 2);
  const shop = sum.projects.find(({ project_id }) => project_id === 'shop');
  // The other project is that of the self-check.
  assert.equal(accepted - (shop?.accepted ?? 0), 1);
  const number = await scrape();
  assert.equal(accepted, end);
  assert.equal(number('clickstream_log_committed\\{.*\\}'), end);
  assert.equal(number('clickstream_records\\{project="shop",outcome="stored"\\}'), shop?.stored);
  assert.equal(number('clickstream_pipeline_closed'), 1);
});

test('the sum is guarded like all reading', async () => {
  const { request } = await import('node:http');
  const { port } = new URL(system.url);
  const headers = { host: `evil.example:${port}` };
  const asking = request({ port, host: '127.0.0.1', path: '/api/pipeline', headers }).end();
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  assert.equal(answer.resume().statusCode, 403);
  assert.equal((await fetch(`${system.url}/api/pipeline`, { method: 'POST' })).status, 405);
});
