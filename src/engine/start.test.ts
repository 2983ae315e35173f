/** The engine's life: killed, frozen, in the way of others, started wrongly. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { realClock } from '../base/clock.ts';
import { type Engine, startEngine } from './start.ts';
import { engineOptions, newFolder, openTestEngine, type TestEngine } from './test-engine.ts';

/** Resolves with the first answer that comes, and what it says. */
async function servesAgain({ ask }: TestEngine): Promise<string> {
  for (;;) {
    const answer = await ask('owner', 'SELECT count() FROM t').catch(() => undefined);
    if (answer?.code === null) return answer.text;
    await realClock.sleep(10);
  }
}

/** Resolves when this process has ended. */
async function ended(pid: number): Promise<void> {
  const isThere = (): Promise<boolean> =>
    readFile(`/proc/${pid}/stat`, 'utf8').then(
      (stat) => !/\) Z /.test(stat),
      () => false,
    );
  while (await isThere()) await realClock.sleep(10);
}

const pidOf = ({ engine }: TestEngine): number => engine.pid() ?? 0;

test('a killed engine serves again on the same port with every row', async (t) => {
  const opened = await openTestEngine();
  t.after(opened.close);
  process.kill(pidOf(opened), 'SIGKILL');
  assert.equal(await servesAgain(opened), '2\n');
});

test('a frozen engine is noticed and replaced', async (t) => {
  const opened = await openTestEngine();
  t.after(opened.close);
  const frozen = pidOf(opened);
  process.kill(frozen, 'SIGSTOP');
  await ended(frozen);
  assert.equal(await servesAgain(opened), '2\n');
});

test('an engine at work on a long question is not taken for a frozen one', async (t) => {
  const opened = await openTestEngine();
  t.after(opened.close);
  const before = pidOf(opened);
  const long = 'SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))';
  const more = { query: 'max_execution_time=4' };
  const asked = await Promise.all([1, 2, 3].map(() => opened.ask('owner', long, more)));
  assert.deepEqual(
    asked.map(({ code }) => code),
    ['159', '159', '159'],
  );
  assert.equal(pidOf(opened), before);
});

test('no setting gives a statement of a reader more time than a reader has', async (t) => {
  const opened = await openTestEngine({ readerSeconds: 1 });
  t.after(opened.close);
  const long = 'SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))';
  for (const seconds of ['', '0', '-1', '0.0000001', '1e-9', '99', 'x']) {
    const { code } = await opened.ask('reader', long, { query: `max_execution_time=${seconds}` });
    assert.equal(code, '159', seconds);
  }
});

test('a statement of a reader that no limit ends is ended with the engine', async (t) => {
  const opened = await openTestEngine({ readerSeconds: 1 });
  t.after(opened.close);
  const before = pidOf(opened);
  const endless =
    "SELECT max(levenshteinDistance(repeat('a', 60000 + number % 2), repeat('b', 60000))) FROM numbers(1000)";
  await assert.rejects(opened.ask('reader', endless));
  await ended(before);
  assert.equal(await servesAgain(opened), '2\n');
});

test('an engine whose port is taken while it is away comes back once it is free', async (t) => {
  const opened = await openTestEngine();
  t.after(opened.close);
  const blocker = createServer((socket) => socket.destroy());
  const takePort = (): Promise<boolean> => {
    blocker.listen(Number(new URL(opened.engine.url).port), '127.0.0.1');
    return once(blocker, 'listening').then(
      () => true,
      () => false,
    );
  };
  // It waits longer from time to time, so that sooner or later this is faster.
  do {
    const pid = pidOf(opened);
    process.kill(pid, 'SIGKILL');
    await ended(pid);
  } while (!(await takePort()));
  const waiting = pidOf(opened);
  await ended(waiting);
  // The next one stands in its place; it found the port taken and gave up.
  while (pidOf(opened) === waiting) await realClock.sleep(10);
  blocker.close();
  assert.equal(await servesAgain(opened), '2\n');
});

test('a port in use, and a folder in use, are said in one sentence', async () => {
  const { folder, close } = await openTestEngine();
  const other = await newFolder();
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const address = blocker.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await assert.rejects(startEngine(engineOptions({ folder: other, port })), {
    code: 'port_in_use',
  });
  blocker.close();
  await assert.rejects(startEngine(engineOptions({ folder })), { code: 'data_in_use' });
  await close();
  await rm(other, { recursive: true, force: true });
});

test('a start waits a moment for the port that the engine before it still holds', async () => {
  const folder = await newFolder();
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const address = blocker.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const sleep: typeof realClock.sleep = (ms, signal) => {
    blocker.close();
    return realClock.sleep(ms, signal);
  };
  const started = await startEngine({
    ...engineOptions({ folder, port }),
    clock: { ...realClock, sleep },
  });
  assert.equal(started.url, `http://127.0.0.1:${port}`);
  await started.close();
  await rm(folder, { recursive: true, force: true });
});

test('a users file that cannot be read is said, and is not replaced', async () => {
  const folder = await newFolder();
  const file = join(folder, 'users.json');
  for (const text of ['', '{"owner":{}}', '{"owner":{"name":"a","password":""},"reader":1}']) {
    await writeFile(file, text);
    await assert.rejects(startEngine(engineOptions({ folder })), {
      code: 'engine_failed',
      message: /users\.json does not hold/,
    });
    assert.equal(await readFile(file, 'utf8'), text);
  }
  await rm(folder, { recursive: true, force: true });
});

test('everything in the folder of the engine is for its user only', async () => {
  const { engine, folder, close } = await openTestEngine();
  await engine.close();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  assert.ok(entries.length > 20);
  for (const { parentPath, name } of entries) {
    const entry = await lstat(join(parentPath, name));
    if (!entry.isSymbolicLink()) assert.equal(entry.mode & 0o077, 0, join(parentPath, name));
  }
  await close();
});

const isRoot = process.getuid?.() === 0;

test('as another user the engine reads its data and nothing that is private', {
  skip: isRoot ? false : 'only root can start it as another user',
}, async (t) => {
  const folder = await newFolder();
  // What was written as root before is given to the user as well.
  const before = await openTestEngine({ folder });
  await before.engine.close();
  const opened = await openTestEngine({ folder, runAs: '34567:34568' });
  t.after(opened.close);
  const status = await readFile(`/proc/${pidOf(opened)}/status`, 'utf8');
  assert.match(status, /^Uid:(\t34567){4}\nGid:(\t34568){4}$/m);
  assert.match(status, /^Groups:\s*$/m);
  assert.match(status, /^CapEff:\t0+$/m);
  assert.equal((await opened.own('SELECT count() FROM t')).text, '4\n');
  const secret = await opened.ask('owner', `SELECT file('${join(folder, 'users.json')}')`);
  assert.match(secret.text, /Permission denied|CANNOT_OPEN_FILE/);
  process.kill(pidOf(opened), 'SIGKILL');
  assert.equal(await servesAgain(opened), '4\n');
});

test('a user that cannot be had is said before anything is started', {
  skip: isRoot ? 'root can have any user' : false,
}, async () => {
  const folder = await newFolder();
  await assert.rejects(startEngine(engineOptions({ folder, runAs: '34567:34568' })), {
    code: 'bad_setting',
  });
  await rm(folder, { recursive: true, force: true });
});

test('the child ends when its parent is killed, whatever it does, and the folder is free', async () => {
  const other = await newFolder();
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
  const next = await startEngine(engineOptions({ folder: other }));
  await next.close();
  await rm(other, { recursive: true, force: true });
});
