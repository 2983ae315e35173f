/** What of Superset needs no Superset: finding Python and the store, secrets, set-up, each refusal. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { delimiter, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { run } from '../local/run.ts';
import { readConfig } from '../src/config.ts';
import { readUsers } from '../src/engine/users.ts';
import { freePort, removeFolder, startSystem, temporaryFolder } from '../test/system.ts';
import { findDatabase } from './database.ts';
import { provision } from './provision.ts';
import { findPython, whyNoSuperset } from './python.ts';
import { keptSecret } from './secrets.ts';
import { BUNDLE } from './superset.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
let folder: string;

before(async () => {
  folder = await temporaryFolder('superset');
});
after(async () => {
  await removeFolder(folder);
});

/** A program of this name in a folder of its own, which is answered. */
async function program(name: string, script: string): Promise<string> {
  const made = join(folder, `${name}-${Math.random()}`);
  await mkdir(made, { recursive: true });
  await symlink('/bin/sh', join(made, 'sh'));
  await writeFile(join(made, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(made, name), 0o755);
  return made;
}

const command = (parameters: readonly string[], environment: Record<string, string>) =>
  run({
    command: [process.execPath, MAIN, ...parameters],
    environment: { PATH: process.env.PATH, ...environment },
  });

test('the first Python that fits is taken, by whatever name', async () => {
  const old = await program('python3.12', 'exit 1');
  const fits = await program('python3', 'echo 3.11.7');
  assert.deepEqual(await findPython([old, fits].join(delimiter)), {
    program: 'python3',
    version: '3.11.7',
  });
});

for (const [says, words] of [
  [undefined, /PATH has none: install it \(packages such as python3\.12 and python3\.12-venv\)\.$/],
  ['3.9.18', /needs Python 3\.10 to 3\.12 with venv, and PATH has only 3\.9\.18: install/],
  ['3.13.0', /PATH has only 3\.13\.0: install/],
  ['3.11.2 without venv', /PATH has only 3\.11\.2 without venv: install/],
] as const) {
  test(`a Python that is ${says ?? 'not there'} is refused with what to install`, async () => {
    const path =
      says === undefined ? join(folder, 'none') : await program('python3', `echo ${says}`);
    await assert.rejects(findPython(path), words);
  });
}

test('a secret is made once, for nobody else to read, and known to be new only then', async () => {
  const made = join(folder, 'secrets');
  const [first, beside] = await Promise.all([
    keptSecret(made, 'password', () => 'one'),
    keptSecret(made, 'password', () => 'one'),
  ]);
  assert.deepEqual([first.text, beside.text], ['one', 'one']);
  assert.deepEqual(await keptSecret(made, 'password', () => 'two'), { text: 'one', isNew: false });
  assert.equal((await stat(join(made, 'password'))).mode & 0o777, 0o600);
  assert.equal((await stat(made)).mode & 0o077, 0);
});

test('every package has its version and its hashes, and no address', async () => {
  for (const name of ['installer.txt', 'requirements.txt']) {
    const text = await readFile(join(import.meta.dirname, name), 'utf8');
    const packages = text.split(/^(?=[a-z])/im).filter((each) => /^[a-z]/i.test(each));
    assert.ok(packages.length > 1);
    for (const each of packages)
      assert.match(each, /^[\w.-]+==\S+.*\\\n +--hash=sha256:[\da-f]{64}/);
    assert.doesNotMatch(text, /:\/\//);
  }
});

test('a program gets its input, and answers its exit code and what it said', async () => {
  const lines: string[] = [];
  const ended = await run({
    command: ['sh', '-c', 'cat; echo bad >&2; exit 3'],
    environment: process.env,
    input: 'one\ntwo\n',
    onLine: (line) => lines.push(line),
  });
  assert.deepEqual([ended.code, ended.errors, lines], [3, ['bad'], ['one', 'two']]);
  assert.deepEqual(ended.output.split('\n').toSorted(), ['', 'bad', 'one', 'two']);
});

test('what is set up is not set up again until something of it changes', async () => {
  const installation = join(folder, 'installation');
  const bundle = join(folder, 'bundle');
  await mkdir(installation);
  await mkdir(bundle);
  await writeFile(join(bundle, 'metadata.yaml'), 'version: 1.0.0\n');
  const python = join(
    await program(
      'python',
      'echo noise; echo "clickstream: loading"; cat >> orders; echo >> orders',
    ),
    'python',
  );
  const said: string[] = [];
  const database = { ...{ host: 'h', port: 1, isSecure: false }, database: 'd', user: 'u' };
  const options = {
    ...{ folder: installation, guard: [], environment: process.env, bundle, python },
    ...{ password: 'of the admin', database: { ...database, password: 'of the reader' } },
    progress: (text: string) => said.push(text),
  };
  await provision(options);
  await provision(options);
  assert.deepEqual(said, ['loading']);
  await writeFile(join(bundle, 'metadata.yaml'), 'version: 1.0.0\n# changed\n');
  await provision(options);
  await provision({ ...options, importsAgain: true });
  await provision({ ...options, database: { ...options.database, port: 2 } });
  assert.equal(said.length, 4);
  const orders = (await readFile(join(installation, 'orders'), 'utf8')).trim().split('\n');
  assert.deepEqual(JSON.parse(orders[0] ?? ''), {
    ...{ admin: 'admin', password: 'of the admin', bundle },
    database: options.database,
  });
  const failing = join(
    await program('python', 'echo first >&2; echo "Why: this" >&2; exit 1'),
    'python',
  );
  const fails = provision({ ...options, python: failing, importsAgain: true });
  await assert.rejects(fails, /could not be set up: Why: this; all that it said is in .*\.log$/);
});

test('without a store of its own Superset reads the engine of a system that runs, as its reader', async () => {
  const data = join(folder, 'system');
  const system = await startSystem(data);
  try {
    const port = new URL(system.engineUrl).port;
    const set = { CLICKSTREAM_DATA: data, CLICKSTREAM_ENGINE_PORT: port };
    const { name: user, password } = readUsers(join(data, 'store')).reader;
    assert.deepEqual(await findDatabase(readConfig(set), folder), {
      ...{ host: '127.0.0.1', port: Number(port), isSecure: false },
      ...{ database: 'clickstream', user, password },
    });
  } finally {
    await system.stop();
  }
});

/** A server that keeps the statements it gets and answers all alike. */
async function serverThat(t: TestContext, status: number, text: string) {
  const statements: string[] = [];
  const server = createServer(async (request, response) => {
    let body = new URL(request.url ?? '/', 'http://server').searchParams.get('query') ?? '';
    for await (const chunk of request) body += chunk;
    statements.push(body.replace(/\s*FORMAT \w+$/, '').trim());
    response.writeHead(status, status === 200 ? {} : { 'x-clickhouse-exception-code': '497' });
    response.end(text);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close().closeAllConnections());
  const { port } = server.address() as { port: number };
  const address = `http://owner:owner-password@127.0.0.1:${port}/shop`;
  return { port, statements, config: readConfig({ CLICKSTREAM_STORE: address }) };
}

test('on a server a user is made that may only read that database, with a password of its own', async (t) => {
  const { port, statements, config } = await serverThat(t, 200, '');
  const own = join(folder, 'on a server');
  const database = await findDatabase(config, own);
  const password = await readFile(join(own, 'reader_password'), 'utf8');
  const { user } = database;
  assert.match(user, /^clickstream_reader_[\da-f]{8}$/);
  assert.deepEqual(database, {
    ...{ host: '127.0.0.1', port, isSecure: false },
    ...{ database: 'shop', user, password },
  });
  assert.deepEqual(await findDatabase(config, own), database);
  const [create = '', alter = '', grant] = statements;
  const as = `${user} IDENTIFIED WITH sha256_hash BY '[\\da-f]{64}' SETTINGS readonly = 1, `;
  assert.match(create, new RegExp(`^CREATE USER IF NOT EXISTS ${as}`));
  assert.match(alter, new RegExp(`^ALTER USER ${as}`));
  assert.equal(grant, `GRANT SELECT ON shop.* TO ${user}`);
  assert.ok(!statements.join().includes(password));
  // A second Superset would else set another password for the user of the first.
  const other = await findDatabase(config, join(folder, 'on the same server'));
  assert.notEqual(other.user, user);
});

test('a server whose user may make no users says what to grant', async (t) => {
  const { config } = await serverThat(
    t,
    403,
    'Code: 497. DB::Exception: owner: Not enough privileges.',
  );
  await assert.rejects(
    findDatabase(config, folder),
    /clickstream_reader_\w+ .*cannot be made .*: grant CREATE USER, ALTER USER and, .* SELECT on shop to owner\.$/,
  );
});

test('the command says what it takes, and refuses what it cannot do in one sentence', async () => {
  const engine = { CLICKSTREAM_ENGINE_PORT: String(await freePort()), CLICKSTREAM_DATA: folder };
  const [help, port, unknown, dashes, asleep] = await Promise.all([
    command(['--help'], {}),
    command(['--port', '0'], {}),
    command(['--wrong'], {}),
    command([], { npm_config_port: '1' }),
    command(['--data', join(folder, 'new')], engine),
  ]);
  assert.equal(help.code, 0);
  assert.match(help.output, /npm run superset/);
  for (const [{ code, output }, words] of [
    [port, /^superset: --port is "0", and must be a number from 1 to 65535\.$/],
    [unknown, /^superset: .*--wrong.*; --help lists what there is\.$/],
    [dashes, /^superset: npm took --port for itself; write "npm run superset -- --port …"/],
    [
      asleep,
      /^superset: There is no engine that answers: run npm start first, with the same CLICKSTREAM_DATA/,
    ],
  ] as const) {
    assert.match(output.trim(), words);
    assert.equal(code, 1);
  }
});

test('the zip has each file of the dashboards, and is one that Python takes', async (t) => {
  const file = join(folder, 'clickstream.zip');
  const { code, output } = await command(['--zip', file], {});
  assert.equal(code, 0, output);
  const python = await findPython().catch(() => undefined);
  if (python === undefined) return t.skip('there is no Python');
  // Checks the sum of each entry, then prints all.
  const script = `import sys, zipfile, json
z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None
print(json.dumps({name: z.read(name).decode() for name in z.namelist()}))`;
  const { stdout } = await promisify(execFile)(python.program, ['-c', script, file]);
  const names = (await readdir(BUNDLE, { recursive: true })).filter((name) => /yaml$/.test(name));
  const files = names.map(async (name) => [
    `clickstream/${name}`,
    await readFile(join(BUNDLE, name), 'utf8'),
  ]);
  assert.deepEqual(JSON.parse(stdout), Object.fromEntries(await Promise.all(files)));
});

test('those who miss the same answer ask for it once', async (t) => {
  const why = await whyNoSuperset();
  if (why !== undefined) return t.skip(why);
  const { program } = await findPython();
  await promisify(execFile)(program, ['-B', 'turns_test.py'], { cwd: import.meta.dirname });
});
