/**
 * Audits and erasing as an operator meets them: the commands over a running and over a stopped
 * system, who may ask over HTTP, and the audit after the machine went down.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineAnswer } from '../src/process/pipeline/answer.ts';
import type { AuditReport } from '../src/process/upkeep/audit-report.ts';
import {
  freePort,
  openStore,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
  untilStored,
} from './system.ts';

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');
const LOGIN = 'reader:a-long-password';
let folder: string;

before(async () => {
  folder = await temporaryFolder('upkeep');
});
const started: SystemProcess[] = [];
after(async () => {
  for (const { child } of started) child.kill('SIGKILL');
  await removeFolder(folder);
});

async function startAt({ data, environment }: Place): Promise<SystemProcess> {
  const system = await startSystem(data, environment);
  started.push(system);
  return system;
}

interface Place {
  data: string;
  environment: Record<string, string>;
}

async function newPlace(name: string): Promise<Place> {
  const data = join(folder, name);
  await mkdir(data);
  const environment = {
    CLICKSTREAM_PORT: String(await freePort()),
    CLICKSTREAM_ENGINE_PORT: String(await freePort()),
    CLICKSTREAM_LOGIN: LOGIN,
  };
  return { data, environment };
}

/** The command to its end: its exit code and what it wrote. */
async function run(
  { data, environment }: Place,
  ...parameters: string[]
): Promise<{ code: number | null; text: string; errors: string }> {
  const child = spawn(process.execPath, [MAIN, ...parameters], {
    env: { PATH: process.env.PATH, CLICKSTREAM_DATA: data, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (text += chunk));
  child.stderr.on('data', (chunk) => (errors += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, text, errors };
}

async function send(system: SystemProcess, events: object[]): Promise<void> {
  const answer = await fetch(`${system.url}/v1/events?key=shop-dev-key`, {
    method: 'POST',
    body: JSON.stringify(events.map((event) => ({ event_name: 'CLICK', ...event }))),
  });
  await answer.arrayBuffer();
  assert.ok(answer.status === 202, String(answer.status));
}

/** As the owner of the engine, who may do what nobody should. */
async function own(system: SystemProcess, sql: string): Promise<void> {
  const store = openStore(system);
  await store.command(sql);
  await store.close();
}

const lose = (system: SystemProcess, where: string) =>
  own(system, `ALTER TABLE records DELETE WHERE ${where} SETTINGS mutations_sync = 1`);

test('the audit command names what is missing and heals it, over a running and a stopped system', async () => {
  const place = await newPlace('audit');
  let system = await startAt(place);
  await send(system, [
    { event_id: 'a' },
    { event_id: 'b' },
    { event_id: 'b' },
    { quantity: 'many' },
  ]);
  await untilStored(system);
  const well = await run(place, 'audit');
  assert.deepEqual([well.code, well.errors], [0, '']);
  assert.match(well.text, /The sum closes: every record is there once\.\n$/);
  assert.match(well.text, /^shop +4 +2 +1 +1 +0 +0 +0$/m);

  await lose(system, "event_id = 'a'");
  const ill = await run(place, 'audit');
  assert.equal(ill.code, 1);
  assert.match(ill.text, /^missing: log 1, partition 0, offset \d+ \(shop\)$/m);
  assert.match(ill.text, /The sum does not close: 1 missing, 0 doubled.* --heal mends it\.\n$/);
  const healed = await run(place, 'audit', '--heal');
  assert.equal(healed.code, 0, healed.text);
  assert.match(healed.text, /Healed: 1 missing put back, 0 doubled kept once\./);
  const authorization = `Basic ${btoa(LOGIN)}`;
  const kept = await fetch(`${system.url}/api/audit`, { headers: { authorization } });
  assert.equal(((await kept.json()) as AuditReport).healed?.missing, 1);
  const sum = await fetch(`${system.url}/api/pipeline`, { headers: { authorization } });
  const { last_audit } = (await sum.json()) as PipelineAnswer;
  assert.deepEqual([last_audit?.closed, last_audit?.healed, last_audit?.from], [true, 1, null]);

  await lose(system, "event_id = 'b' AND outcome = 'stored'");
  assert.equal(await system.stop(), 0);
  const stopped = await run(place, 'audit', '--json');
  assert.equal(stopped.code, 1, stopped.errors);
  const report = JSON.parse(stopped.text) as AuditReport;
  assert.deepEqual([report.closed, report.missing.named.length], [false, 1]);
  assert.equal((await run(place, 'audit', '--from', '2000-01-01', '--heal')).code, 0);
  // The next processor takes its partition back, and knows what was put back.
  system = await startAt(place);
  await send(system, [{ event_id: 'a' }, { event_id: 'b' }]);
  await untilStored(system);
  const last = await run(place, 'audit');
  assert.equal(last.code, 0);
  assert.match(last.text, /^shop +6 +2 +3 +1 +0 +0 +0$/m);
  assert.equal(await system.stop(), 0);
});

test('the erase command prints a receipt, over a running and a stopped system', async () => {
  const place = await newPlace('erase');
  const system = await startAt(place);
  await send(system, [
    { event_id: 'a', customer_id: 'me' },
    { event_id: 'a', customer_id: 'me' },
    { event_id: 'b', session_id: 'mine' },
    { event_id: 'c', session_id: 'other' },
  ]);
  await untilStored(system);
  const me = ['erase', '--project', 'shop', '--customer', 'me'];
  const dry = await run(place, ...me, '--dry-run');
  assert.match(dry.text, /^2 rows of shop \(1 stored, 1 duplicate, 0 rejected\) would be erased/);
  const done = await run(place, ...me);
  assert.equal(done.code, 0, done.errors);
  assert.match(
    done.text,
    /^Erased 2 rows .*\nRemoval [0-9a-f-]{36}\n.*LOG_KEEP_HOURS \(24 hours\)/,
  );
  await send(system, [{ event_id: 'a', customer_id: 'me' }]);
  await untilStored(system);
  assert.equal(
    (await run(place, ...me)).text,
    'Nothing of shop is selected; nothing was erased.\n',
  );
  const headers = { authorization: `Basic ${btoa(LOGIN)}` };
  const pipeline = async () =>
    (await (await fetch(`${system.url}/api/pipeline`, { headers })).json()) as PipelineAnswer;
  // It answers with a sum that may be some seconds old.
  while ((await pipeline()).total.removed < 2) await sleep(50);
  assert.deepEqual([(await pipeline()).closed, (await pipeline()).total.removed], [true, 2]);
  assert.equal(await system.stop(), 0);
  const session = await run(place, 'erase', '--project', 'shop', '--session', 'mine');
  assert.match(session.text, /^Erased 1 row/);
  const audit = await run(place, 'audit');
  assert.match(audit.text, /^shop +5 +1 +1 +0 +3 +0 +0$/m);
  assert.equal(audit.code, 0);
});

test('a wrong audit or erase command is refused in one sentence', async () => {
  const place = await newPlace('wrong');
  for (const [words, ...parameters] of [
    [/There is no log in .*CLICKSTREAM_DATA/, 'audit'],
    [/"from" cannot be taken: it takes ISO 8601/, 'audit', '--from', 'yesterday'],
    [/Unknown option '--fix'/, 'audit', '--fix'],
    [/One of visitor, customer, event_id, session says what/, 'erase', '--project', 'shop'],
    [/"project" is needed/, 'erase', '--visitor', 'v'],
    [/"visitor" cannot be taken: it takes a text/, 'erase', '--project', 'p', '--visitor', ''],
  ] as const) {
    const { code, text, errors } = await run(place, ...parameters);
    assert.deepEqual([code, text], [1, '']);
    assert.match(errors, words);
    assert.equal(errors.trim().split('\n').length, 1, errors);
  }
});

test('over HTTP only who may read the data folder may ask, and no page elsewhere', async () => {
  const place = await newPlace('http');
  const system = await startAt(place);
  const { token } = JSON.parse(await readFile(join(place.data, 'running.json'), 'utf8'));
  assert.equal((await stat(join(place.data, 'running.json'))).mode & 0o777, 0o600);
  const good = {
    'x-clickstream-token': token,
    authorization: `Basic ${btoa(LOGIN)}`,
    'content-type': 'application/json',
    host: new URL(system.url).host,
  };
  const post = async (path: string, headers: object, body: unknown = {}) => {
    const asked = request(`${system.url}${path}`, { method: 'POST', headers: { ...headers } });
    asked.end(typeof body === 'string' ? body : JSON.stringify(body));
    const [response] = await once(asked, 'response');
    response.resume();
    return response.statusCode as number;
  };
  const erase = { project: 'shop', event_id: 'x' };
  for (const [path, body] of [
    ['/api/audit', {}],
    ['/api/erase', erase],
  ] as const) {
    const { authorization: _, ...nobody } = good;
    const { 'x-clickstream-token': __, ...reader } = good;
    assert.equal(await post(path, good, body), 200);
    assert.equal(await post(path, nobody, body), 401);
    assert.equal(await post(path, reader, body), 401);
    assert.equal(await post(path, { ...good, 'x-clickstream-token': 'x' }, body), 401);
    assert.equal(await post(path, { ...good, host: 'evil.example' }, body), 403);
    assert.equal(await post(path, { ...good, 'content-type': 'text/plain' }, body), 415);
    assert.equal(await post(path, { ...good, 'content-type': 'application/jsonx' }, body), 415);
    assert.equal(await post(path, good, { ...body, more: 1 }), 400);
    assert.equal(await post(path, good, '['), 400);
    assert.equal(await post(path, good, 'x'.repeat(20_000)), 413);
  }
  assert.equal(await post('/api/audit', good, { heal: 'yes' }), 400);
  assert.equal(await post('/api/erase', good, { ...erase, visitor: 'v' }), 400);
  assert.equal(await post('/api/erase', good, { ...erase, event_id: 7 }), 400);
  // The command finds a process that has another data folder.
  const other = await newPlace('http-other');
  const second = await startAt(other);
  const { CLICKSTREAM_PORT = '' } = place.environment;
  const lost = { ...other, environment: { ...other.environment, CLICKSTREAM_PORT } };
  assert.match(
    (await run(lost, 'audit')).errors,
    /token in running\.json of the data folder that is served here/,
  );
  const away = { ...lost.environment, CLICKSTREAM_PORT: '9' };
  assert.match(
    (await run({ ...other, environment: away }, 'audit')).errors,
    /runs, but does not answer at 127\.0\.0\.1:9 \(ECONNREFUSED\); set CLICKSTREAM_HOST/,
  );
  assert.equal(await second.stop(), 0);
  assert.equal(await system.stop(), 0);
});

test('a start after another boot heals the hour before the newest record by itself', async () => {
  const place = await newPlace('boot');
  place.environment.CLICKSTREAM_LOGIN = '';
  const file = join(place.data, 'running.json');
  let system = await startAt(place);
  await send(system, [{ event_id: 'a' }, { event_id: 'b' }]);
  await untilStored(system);
  await lose(system, "event_id = 'a'");
  const noted = async (): Promise<object> => {
    const { token: _, ...rest } = JSON.parse(await readFile(file, 'utf8')) as { token: string };
    return rest;
  };
  const here = await noted();
  const last = async () =>
    (await (await fetch(`${system.url}/api/audit`)).json()) as AuditReport | null;

  // Its own end is not the machine's.
  await system.kill();
  system = await startAt(place);
  assert.equal(await last(), null);
  assert.deepEqual(await noted(), here);
  await system.kill();

  await writeFile(file, JSON.stringify({ boot_id: 'another' }));
  system = await startAt(place);
  while ((await last()) === null) await sleep(20);
  const report = await last();
  assert.deepEqual([report?.closed, report?.healed], [true, { missing: 1, doubled: 0 }]);
  assert.match(system.output(), /"level":40.*"missing":1.*before the machine went down/);
  while ('audit_from_ms' in (await noted())) await sleep(20);
  assert.deepEqual(await noted(), here);
  assert.equal(await system.stop(), 0);
  await assert.rejects(access(file), 'an orderly stop takes the file away');
});
