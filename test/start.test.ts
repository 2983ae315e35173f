/**
 * Starting and stopping as an operator meets it: what is wrong is said in one sentence that names
 * what to do, and a stop ends in order whatever hangs.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, removeFolder, startSystem, temporaryFolder, untilStored } from './system.ts';

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');
let folder: string;

before(async () => {
  folder = await temporaryFolder('start');
});
after(() => removeFolder(folder));

/** Runs the command to its end: exit code and everything it wrote. */
async function run(
  environment: Record<string, string>,
  parameters: readonly string[] = [],
): Promise<[number | null, string]> {
  const child = spawn(process.execPath, [MAIN, ...parameters], {
    env: { PATH: process.env.PATH, CLICKSTREAM_DATA: join(folder, 'unused'), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return [code, output];
}

const WRONG: [title: string, environment: Record<string, string>, words: RegExp, ...string[]][] = [
  ['a value', { CLICKSTREAM_PORT: '99999' }, /CLICKSTREAM_PORT is "99999"; .* 0 to 65535/],
  ['a name', { CLICKSTREAM_POT: '1' }, /CLICKSTREAM_POT is not a setting; --help/],
  ['an option', {}, /'--nonsense'; --help/, '--nonsense'],
  ['a command', {}, /"frobnicate" is not a command; --help/, 'frobnicate'],
  ['the store’s address', { CLICKSTREAM_STORE: 'http://' }, /CLICKSTREAM_STORE is "http:\/\/"/],
  [
    'the address of a server, whose password is not shown',
    { CLICKSTREAM_STORE: 'http://u:secret-1%@host:1/a' },
    /^((?!secret).)*CLICKSTREAM_STORE is "…@host:1\/a"((?!secret).)*$/s,
  ],
  [
    'a login, which is not shown',
    { CLICKSTREAM_LOGIN: 'u:secret' },
    /^((?!secret).)*CLICKSTREAM_LOGIN is "…"((?!secret).)*$/s,
  ],
  [
    'a cluster of the engine',
    { CLICKSTREAM_STORE_CLUSTER: 'c' },
    /CLICKSTREAM_STORE_CLUSTER is set, but.*CLICKSTREAM_STORE to one/,
  ],
  ['a database', { CLICKSTREAM_STORE: 'http://h:1/a-b' }, /CLICKSTREAM_STORE is "http:/],
  [
    'a store that is away',
    { CLICKSTREAM_STORE: 'http://127.0.0.1:9/a' },
    /ECONNREFUSED.*CLICKSTREAM_STORE/,
  ],
  ['the log’s address', { CLICKSTREAM_LOG: 'file:log?partitions=65' }, /1 to 64/],
  [
    'a key for two projects',
    { CLICKSTREAM_KEYS: 'a:12345678,b:12345678' },
    /CLICKSTREAM_KEYS.*each key once/,
  ],
  ['a file for a folder', { CLICKSTREAM_DATA: MAIN }, /CLICKSTREAM_DATA names .*EEXIST.*set it/],
  ['an open address', { CLICKSTREAM_HOST: '0.0.0.0' }, /others can reach.*CLICKSTREAM_KEYS/],
  [
    'a topic’s address',
    {},
    /--to cannot be used: it is no add.*kafka:/,
    'send-original',
    '--to',
    'x',
  ],
  ['users before the first start', {}, /no store in .*unused.* yet/, 'users'],
  ['users of a server', { CLICKSTREAM_STORE: 'http://h:1/a' }, /its own users/, 'users'],
];
for (const [title, environment, words, ...parameters] of WRONG) {
  test(`a start with a wrong setting is refused in one sentence: ${title}`, async () => {
    const [code, output] = await run(environment, parameters);
    assert.equal(code, 1, output);
    assert.match(output, words);
    assert.equal(output.trim().split('\n').length, 1, output);
  });
}

test('a port in use, and a data folder of a newer version, are said in one sentence', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const address = blocker.address();
  const port = String(typeof address === 'object' ? address?.port : 0);
  const environment = {
    CLICKSTREAM_DATA: join(folder, 'newer'),
    CLICKSTREAM_LOG_LEVEL: 'silent',
    CLICKSTREAM_ENGINE_PORT: '0',
  };
  const [code, output] = await run({ ...environment, CLICKSTREAM_PORT: port });
  assert.equal(code, 1);
  assert.match(output, new RegExp(`^clickstream: .*:${port}; set CLICKSTREAM_PORT .*port_in_use`));
  blocker.close();

  const path = join(folder, 'newer', 'log', 'log.json');
  const identity = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...identity, version: 99 }));
  const [newer, words] = await run({ ...environment, CLICKSTREAM_PORT: '0' });
  assert.equal(newer, 1);
  assert.match(words, /^clickstream: .*log\.json has version 99.*\(data_newer\)\n$/);
});

test('a second process on the same folder ends, and the first is not disturbed', async () => {
  const data = join(folder, 'shared');
  await mkdir(data);
  const system = await startSystem(data);
  const [code, output] = await run({ CLICKSTREAM_DATA: data, CLICKSTREAM_PORT: '0' });
  assert.equal(code, 1);
  assert.match(output, new RegExp(`pid ${system.child.pid}\\): stop that process`));
  assert.equal((await fetch(`${system.url}/ready`)).status, 200);
  assert.equal(await system.stop(), 0);
});

test('SIGTERM to npm, as a service manager sends it, stops the system in order', async () => {
  const data = join(folder, 'npm');
  await mkdir(data);
  const port = String(await freePort());
  const npm = spawn('npm', ['run', '-s', 'clickstream'], {
    cwd: join(import.meta.dirname, '..'),
    env: {
      PATH: process.env.PATH,
      CLICKSTREAM_DATA: data,
      CLICKSTREAM_PORT: port,
      CLICKSTREAM_ENGINE_PORT: String(await freePort()),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  npm.stderr.on('data', (chunk) => (output += chunk));
  const exited = once(npm, 'close');
  // Its banner: it serves.
  while (!/is running/.test(String(await once(npm.stdout, 'data'))));
  npm.kill('SIGTERM');
  await exited;
  assert.match(output, /"signal":"SIGTERM","msg":"stopping"/);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/health`));
});

test('an option that npm took for itself is not left out in silence', async () => {
  const child = spawn(process.execPath, [MAIN, 'erase', '--project', 'shop', '--visitor', 'v'], {
    env: { CLICKSTREAM_DATA: folder, npm_config_dry_run: 'true' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => (said += chunk));
  const [code] = await once(child, 'close');
  assert.equal(code, 1);
  assert.match(said, /npm took --dry-run for itself; write .* two dashes before it\./);
});

test('with an engine that hangs, /ready says so, events are taken, and a stop ends in order', async () => {
  const data = join(folder, 'hanging');
  await mkdir(data);
  const ports = {
    CLICKSTREAM_PORT: String(await freePort()),
    CLICKSTREAM_ENGINE_PORT: String(await freePort()),
  };
  let system = await startSystem(data, ports);
  const [, engine] = await system.pids();
  process.kill(engine ?? 0, 'SIGSTOP');
  const post = (id: string) =>
    fetch(`${system.url}/v1/events?key=shop-dev-key`, {
      method: 'POST',
      body: JSON.stringify({ event_name: 'HANGS', event_id: id }),
    });
  for (const id of ['a', 'b', 'a']) assert.equal((await post(id)).status, 202);
  const ready = await fetch(`${system.url}/ready`);
  assert.equal(ready.status, 503);
  assert.match(await ready.text(), /the store does not answer/);
  // 1 would mean that it was ended by its own limit of five seconds.
  assert.equal(await system.stop(), 0, system.output());

  system = await startSystem(data, ports);
  await untilStored(system);
  const answer = await fetch(
    `${system.url}/api/projects/shop/totals?bots=in&f=event_name:is:HANGS`,
  );
  const { rows } = (await answer.json()) as { rows: { events: number }[] };
  assert.equal(rows[0]?.events, 2);
  assert.equal(await system.stop(), 0);
});

test('a stop under load, with a watcher that does not read, ends in order', async () => {
  const data = join(folder, 'loaded');
  await mkdir(data);
  const system = await startSystem(data);
  const left = new AbortController();
  const watching = await fetch(`${system.url}/api/projects/shop/live?bots=in`, {
    signal: left.signal,
  });
  assert.equal(watching.status, 200);
  let taken = 0;
  const send = async (): Promise<void> => {
    const body = JSON.stringify(Array(100).fill({ event_name: 'LOAD' }));
    for (;;) {
      const answer = await fetch(`${system.url}/v1/events?key=shop-dev-key`, {
        method: 'POST',
        body,
      });
      await answer.arrayBuffer();
      if (answer.status === 202) taken++;
    }
  };
  // Each ends when the server has gone.
  const senders = Array.from({ length: 8 }, () => send().catch(() => undefined));
  while (taken < 200) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await system.stop(), 0, system.output());
  await Promise.all(senders);
  left.abort();
});
