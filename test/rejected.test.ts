/**
 * Refused events as an operator meets them: listed, mended by options or by file, sent again by the
 * command as it is started from a shell, and counted once.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readUsers } from '../src/engine/users.ts';
import {
  freePort,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
} from './system.ts';

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');
const HOUR_MS = 3_600_000;
let data: string;
let system: SystemProcess;

before(async () => {
  data = await temporaryFolder('rejected');
  system = await startSystem(data);
});
after(async () => {
  if (system.child.exitCode === null) await system.stop();
  await removeFolder(data);
});

/** `clickstream rejected …`: exit code, what it answers, and what it says beside that. */
async function rejected(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
) {
  const child = spawn(process.execPath, [MAIN, 'rejected', ...parameters], {
    env: {
      PATH: process.env.PATH,
      CLICKSTREAM_DATA: data,
      CLICKSTREAM_PORT: new URL(system.url).port,
      CLICKSTREAM_ENGINE_PORT: new URL(system.engineUrl).port,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

async function send(body: unknown, type = 'application/json'): Promise<void> {
  const response = await fetch(`${system.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: 'Bearer shop-dev-key', 'content-type': type },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  await response.arrayBuffer();
}

/** Rows of a statement, as the engine's owner. */
async function ask(sql: string): Promise<Record<string, unknown>[]> {
  const { owner } = readUsers(join(data, 'store'));
  const response = await fetch(
    `${system.engineUrl}/?database=clickstream&default_format=JSONEachRow`,
    {
      method: 'POST',
      headers: { 'x-clickhouse-user': owner.name, 'x-clickhouse-key': owner.password },
      body: sql,
    },
  );
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Resolves when the store has processed so many rows of these ids, whatever became of them. */
async function untilProcessed(ids: string, rows: number): Promise<void> {
  const sql = `SELECT toUInt32(count()) AS rows FROM records WHERE event_id LIKE '${ids}'`;
  while (Number((await ask(sql))[0]?.rows) < rows) await new Promise((r) => setTimeout(r, 20));
}

/** A row as the pipeline writes it for what was refused `agoMs` ago. */
async function putRefused(row: Record<string, unknown>, agoMs: number): Promise<number> {
  const receivedMs = Date.now() - agoMs;
  const received_at = new Date(receivedMs).toISOString().replace('T', ' ').replace('Z', '');
  const place = { log_id: 99, log_partition: 0, log_offset: receivedMs, batch_id: 1 };
  const values = { outcome: 'rejected', received_at, event_time: received_at, ...place, ...row };
  const names = Object.keys(values).join(', ');
  await ask(`INSERT INTO records (${names}) FORMAT JSONEachRow ${JSON.stringify(values)}`);
  return receivedMs;
}

const stored = (where: string) =>
  ask(`SELECT event_id, event_name, quantity, properties,
         toUnixTimestamp64Milli(event_time) AS event_ms FROM events
       WHERE project_id = 'shop' AND ${where} ORDER BY event_id
       SETTINGS output_format_json_quote_64bit_integers = 0`);

test('list shows what was refused, newest first, with its reason, and the totals', async () => {
  await send([
    { event_name: 'OK', event_id: 'list-good' },
    { event_id: 'list-1', url: '/old' },
  ]);
  await send({ event_name: 'CART', event_id: 'list-2', quantity: 'm\u001b[2Jany' });
  await untilProcessed('list-%', 3);
  const { code, out } = await rejected(['list']);
  assert.equal(code, 0, out);
  assert.match(out, /received \(UTC\) +project +reason +field +event_id +payload\n/);
  assert.match(
    out,
    /bad_format +quantity +list-2 +\{"event_name"[\s\S]*missing +event_name +list-1/,
  );
  assert.match(out, /\n2 open: bad_format 1, missing 1; 0 replayed\n$/);
  assert.ok(!out.includes('list-good'));
  const one = await rejected(['list', '--limit', '1', '--project', 'shop']);
  assert.ok(!one.out.includes('list-1'), one.out);
  assert.match(one.out, /\(1 shown; --limit shows more\)/);
  const none = await rejected(['list', '--to', '2020-01-01']);
  assert.equal(none.out, '0 open; 0 replayed\n');
});

test('what a stranger wrote does not steer the terminal', async () => {
  await send({ event_id: 'esc-\u001b[2J' });
  await untilProcessed('esc-%', 1);
  const { out } = await rejected(['list', '--reason', 'missing']);
  assert.ok(out.includes('esc-\ufffd[2J'), out);
  assert.ok(!out.includes('\u001b'));
});

test('list --json prints a line for each with every column and the payload as JSON', async () => {
  const { out, err } = await rejected(['list', '--json', '--reason', 'bad_format']);
  const { received_at, log_id, log_offset, batch_id, ...row } = JSON.parse(out) as Record<
    string,
    unknown
  >;
  assert.deepEqual(row, {
    project_id: 'shop',
    event_id: 'list-2',
    reason: 'bad_format',
    field: 'quantity',
    payload: { event_name: 'CART', event_id: 'list-2', quantity: 'm\u001b[2Jany' },
    log_partition: 0,
    replayed: false,
  });
  assert.match(String(received_at), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/);
  assert.deepEqual(typeof log_id + typeof log_offset + typeof batch_id, 'numbernumbernumber');
  assert.match(err, /^1 open: bad_format 1/);
});

test('replay mends by --set and --remove, and each event counts once however often it is repeated', async () => {
  await send([
    { event_name: 'MEND', event_id: 'mend-1', birthdate: 'soon', properties: { size: 'L' } },
    { event_name: 'MEND', event_id: 'mend-2', birthdate: 'later' },
    { event_name: 'MEND', event_id: 'mend-3', birthdate: 'later', quantity: 'many' },
  ]);
  await untilProcessed('mend-%', 3);
  const [third] = await ask(
    `SELECT toString(received_at) AS received_at FROM rejected_events WHERE event_id = 'mend-1'`,
  );
  const command = [
    ...['replay', '--reason', 'bad_format', '--from', String(third?.received_at)],
    ...['--remove', 'birthdate', '--remove', 'properties.size'],
    ...['--set', 'properties.mended=true', '--set', 'quantity=2', '--set', 'event_name=MENDED'],
  ];
  const plan = await rejected([...command, '--dry-run']);
  assert.deepEqual([plan.code, plan.out], [0, '3 of 3 would be replayed; nothing was sent\n']);
  assert.deepEqual(await ask(`SELECT 1 FROM records WHERE event_name = 'MENDED'`), []);

  const first = await rejected(command);
  assert.deepEqual([first.code, first.out, first.err], [0, '3 of 3 replayed\n', '']);
  // At once, so that some may still be on their way to the store.
  const again = await rejected(command);
  assert.equal(again.code, 0, again.out);
  await untilProcessed('mend-%', 6);
  const properties = '{"mended":true}';
  const events = await stored(`event_id LIKE 'mend-%'`);
  assert.deepEqual(
    events.map(({ event_ms, ...event }) => event),
    ['mend-1', 'mend-2', 'mend-3'].map((event_id) => ({
      event_id,
      event_name: 'MENDED',
      quantity: 2,
      properties,
    })),
  );
  const last = await rejected(command);
  assert.deepEqual([last.code, last.out], [0, '0 of 0 replayed\n3 are in events already\n']);
  const { out } = await rejected(['list', '--from', String(third?.received_at)]);
  assert.equal(out, '0 open; 3 replayed\n');
  const all = await rejected(['list', '--all', '--from', String(third?.received_at)]);
  assert.equal(all.out.match(/bad_format \(replayed\) +birthdate +mend-/g)?.length, 3, all.out);
});

test('what is still refused is counted by reason and field, and the rest is sent', async () => {
  await send([
    { event_id: 'still-1', event_name: 'STILL', sequence: -1 },
    { event_id: 'still-2', event_name: 'STILL', sequence: -1, quantity: 'many' },
  ]);
  await untilProcessed('still-%', 2);
  const { code, out } = await rejected([
    'replay',
    '--reason',
    'out_of_range',
    '--remove',
    'sequence',
  ]);
  assert.equal(code, 0);
  assert.equal(out, '1 of 2 replayed\n1 still refused\n  1  bad_format quantity\n');
});

test('lines of list --json, edited, are replayed by --file, once also when that is repeated', async () => {
  await send(
    '{"event_name": "FILE", "event_id": "file-1"}\n{"event_name": "FILE", oops}',
    'application/x-ndjson',
  );
  const refused = () => rejected(['list', '--json', '--reason', 'not_json']);
  let list = await refused();
  while (list.out === '') list = await refused();
  const file = join(data, 'mended.ndjson');
  const row = JSON.parse(list.out) as { event_id: string; payload: unknown };
  assert.equal(row.payload, '{"event_name": "FILE", oops}');
  // Mended as text within the text, as an editor would.
  await writeFile(file, list.out.replace('oops', '\\"quantity\\": 3').replaceAll('\n', '\n\n'));
  const first = await rejected(['replay', '--file', file]);
  assert.deepEqual([first.code, first.out], [0, '1 of 1 replayed\n'], first.err);
  await untilProcessed(row.event_id, 2);
  const again = await rejected(['replay', '--file', file]);
  assert.deepEqual([again.code, again.out], [0, '0 of 0 replayed\n1 are in events already\n']);
  const [event, ...more] = await stored(`event_id = '${row.event_id}'`);
  assert.deepEqual([event?.event_name, event?.quantity, more.length], ['FILE', 3, 0]);
  // Of another reason than was asked for.
  const other = await rejected(['replay', '--file', file, '--reason', 'missing']);
  assert.equal(other.out, '0 of 0 replayed\n');
  await writeFile(file, '> clickstream@0.1.0 clickstream\n');
  const wrong = await rejected(['replay', '--file', file]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /^clickstream: Line 1 of .*mended\.ndjson is not one that/);
  const absent = await rejected(['replay', '--file', `${file}.away`]);
  assert.match(absent.err, /^clickstream: --file names .*away, which cannot be read \(ENOENT\)/);
});

test('a cut payload is said to be lost, and nothing that could be sent is exit code 1', async () => {
  await send({ event_name: 'x'.repeat(200), event_id: 'cut-1', title: 'é'.repeat(3000) });
  await send({ event_name: 'x'.repeat(200), event_id: 'cut-2' });
  await untilProcessed('cut-%', 2);
  const { code, out } = await rejected(['replay', '--reason', 'too_long']);
  assert.equal(code, 1);
  assert.equal(
    out,
    '0 of 2 replayed\n1 still refused\n  1  too_long event_name\n' +
      '1 cannot be replayed\n  1  the payload was cut at 4096 bytes\n',
  );
});

test('an event of yesterday keeps its time, whether its sender or the pipeline has corrected it', async () => {
  const sentMs = Date.now() - 25 * HOUR_MS;
  // Sent by a clock that is a day behind: received 24 h later than sent, a minute after it happened.
  const payload = {
    event_id: 'time-1',
    event_time: sentMs - 60_000,
    sent_at: sentMs,
    sequence: 'x',
  };
  const receivedMs = await putRefused(
    {
      project_id: 'shop',
      event_id: 'time-1',
      reason: 'wrong_type',
      field: 'sequence',
      payload: JSON.stringify(payload),
    },
    HOUR_MS,
  );
  const record = {
    ...{ v: 1, project_id: 'shop', event_id: 'time-2', session_id: 's', visitor_id: 'v' },
    ...{ event_time: sentMs, sent_at: sentMs - HOUR_MS, received_at: sentMs, event_name: 'TIME' },
    ...{ bot: 'user_agent', properties: { a: 1 } },
  };
  await putRefused({ reason: 'unprocessable', payload: JSON.stringify(record) }, 2 * HOUR_MS);
  const one = ['--set', 'event_name=TIME', '--remove', 'sequence'];
  assert.equal(
    (await rejected(['replay', '--reason', 'wrong_type', ...one])).out,
    '1 of 1 replayed\n',
  );
  const two = await rejected(['replay', '--reason', 'unprocessable']);
  assert.equal(two.out, '1 of 1 replayed\n', two.err);
  await untilProcessed('time-%', 3);
  const events = await stored(`event_name = 'TIME'`);
  const offMs = Number(events[0]?.event_ms) - (receivedMs - 60_000);
  assert.ok(Math.abs(offMs) < 1000, `${offMs} ms`);
  assert.deepEqual([events[1]?.event_id, events[1]?.event_ms], ['time-2', sentMs]);
  assert.equal((await rejected(['list', '--reason', 'unprocessable'])).out, '0 open; 1 replayed\n');
});

test('more than a page is replayed whole, and a busy collector is waited for', async () => {
  const rows = 2_500;
  await ask(`INSERT INTO records (outcome, project_id, event_id, received_at, event_time, reason,
      field, payload, log_id, log_partition, log_offset, batch_id)
    SELECT 'rejected', 'shop', concat('page-', toString(number)),
      fromUnixTimestamp64Milli(toInt64(1748770000000 + intDiv(number, 700)), 'UTC') AS at, at,
      'missing', 'event_name', '{"url":"/"}', 98, 0, number, 1 FROM numbers(${rows})`);
  const answers = [503, 429];
  const taken = new Set<string>();
  const collector = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const status = answers.shift();
    if (status !== undefined) {
      response.writeHead(status, { 'retry-after': '0' });
      response.end('{"error":{"code":"overloaded","message":"later"}}');
      return;
    }
    const events = JSON.parse(body) as { event_id: string; event_time: number }[];
    for (const event of events) taken.add(`${event.event_id} ${event.event_time}`);
    response.writeHead(202);
    response.end(JSON.stringify({ accepted: events.length, rejected: [] }));
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const address = collector.address();
  const port = String(typeof address === 'object' ? address?.port : 0);
  const command = ['replay', '--reason', 'missing', '--to', '2025-06-02', '--set', 'event_name=P'];
  const { code, out, err } = await rejected(command, { CLICKSTREAM_PORT: port });
  collector.close();
  assert.deepEqual([code, out], [0, '2,500 of 2,500 replayed\n'], err);
  assert.equal(taken.size, rows);
  assert.ok(taken.has('page-0 1748770000000') && taken.has('page-2499 1748770000003'));
  const list = await rejected(['list', '--json', '--to', '2025-06-02', '--limit', '2001']);
  const ids = list.out
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event_id: string }).event_id);
  assert.deepEqual([ids.length, new Set(ids).size, ids[0]], [2001, 2001, 'page-2499']);
});

test('without a write key for the project, or a collector, it says so and what was not sent', async () => {
  const command = ['replay', '--reason', 'missing', '--to', '2025-06-02', '--set', 'event_name=P'];
  const other = await rejected(command, { CLICKSTREAM_KEYS: 'blog:12345678' });
  assert.equal(other.code, 1);
  assert.match(
    other.out,
    /^0 of 2,500 replayed\n2,500 cannot be replayed\n {2}2,500 {2}CLICKSTREAM_KEYS has no write key for the project "shop"\n$/,
  );
  const unknown = await rejected(command, { CLICKSTREAM_KEYS: 'shop:12345678' });
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /answered 401 .*unauthorized.*\(collector_failed\)\n$/);
  const away = await rejected(command, { CLICKSTREAM_PORT: String(await freePort()) });
  assert.equal(away.code, 1);
  assert.match(
    away.err,
    /^clickstream: Nothing answers at .* \(ECONNREFUSED\): start Clickstream first/,
  );
});

const WRONG: [title: string, parameters: string[], words: RegExp][] = [
  ['no command', [], /rejected takes list or replay; rejected --help/],
  ['another command', ['lost'], /takes list or replay, not "lost"/],
  [
    'an option',
    ['list', '--colour'],
    /'--colour'; --help lists what there is: --project, .*--json/,
  ],
  ['a reason', ['list', '--reason', 'odd'], /"odd"; it takes not_json, .*, unprocessable\./],
  ['a time', ['list', '--from', 'noon'], /--from is "noon"; it takes ISO 8601/],
  ['a limit', ['list', '--limit', '0'], /--limit is "0"; it takes a whole number from 1/],
  ['no reason', ['replay'], /needs --reason \(not_json, .*unprocessable\) or --file/],
  [
    'no value',
    ['replay', '--reason', 'missing', '--set', 'a'],
    /--set is "a"; it takes field=value/,
  ],
  [
    'no name',
    ['replay', '--reason', 'missing', '--remove', 'a.'],
    /--remove is "a\."; it takes the name/,
  ],
  [
    'one id for all',
    ['replay', '--reason', 'missing', '--set', 'event_id=1'],
    /all events would be one/,
  ],
];
for (const [title, parameters, words] of WRONG) {
  test(`a wrong argument is refused in one sentence that says what there is: ${title}`, async () => {
    const { code, out, err } = await rejected(parameters);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, words);
    assert.match(err, /^clickstream: [^\n]*\(bad_setting\)\n$/);
  });
}

test('rejected --help says what list and replay take, with examples', async () => {
  for (const parameters of [['--help'], ['replay', '--help']]) {
    const { code, out } = await rejected(parameters);
    assert.equal(code, 0);
    for (const word of ['--set field=value', '--limit N', 'not_json', 'npm run -s clickstream'])
      assert.ok(out.includes(word), word);
  }
});

test('when nothing is running, it says in one sentence to start Clickstream first', async () => {
  assert.equal(await system.stop(), 0, system.output());
  const { code, out, err } = await rejected(['list']);
  assert.deepEqual([code, out], [1, '']);
  assert.match(
    err,
    /^clickstream: Nothing answers at http:\S+: start Clickstream first, [^\n]*\n$/,
  );
});
