/** What of Spark needs no Spark: its ports and settings, what the job is given, and each refusal. */
import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../local/run.ts';
import { readConfig } from '../src/config.ts';
import { readUsers } from '../src/engine/users.ts';
import { removeFolder, startSystem, temporaryFolder } from '../test/system.ts';
import { whyNoSpark } from './cluster.ts';
import { jobEnvironment, withFullPath } from './environment.ts';
import { readHistory } from './history.ts';
import { jobProperties, portsFrom, propertiesText, sharedProperties } from './properties.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const LOG = 'kafka://127.0.0.1:1/clicks';
let folder: string;

before(async () => {
  folder = await temporaryFolder('spark');
});
after(async () => {
  await removeFolder(folder);
});

const command = (parameters: readonly string[], environment: Record<string, string>) =>
  run({
    command: [process.execPath, MAIN, ...parameters],
    environment: { PATH: process.env.PATH, ...environment },
  });

test('master, workers and the job have their ports and pages one after the other', () => {
  assert.deepEqual(portsFrom(7077, 18080, 2), {
    master: 7077,
    workers: [7078, 7079],
    masterUi: 18080,
    workerUis: [18081, 18082],
    jobUi: 18083,
  });
});

test('the job’s page has nothing secret to show but what it conceals', () => {
  const spark = { home: '/spark', job: '/spark/job.jar', archive: '/spark/a.jsa' };
  const size = { executorMemoryMb: 600, driverMemoryMb: 700, coresPerWorker: 2 };
  const job = jobProperties(spark, portsFrom(7077, 18080, 3), size, '/a folder/tmp');
  assert.equal(job['spark.executor.memory'], '600m');
  assert.equal(job['spark.cores.max'], '6');
  assert.match(job['spark.executor.extraJavaOptions'] ?? '', /"-Djava.io.tmpdir=\/a folder\/tmp"/);
  assert.doesNotMatch(JSON.stringify(job), /CLICKSTREAM|password|secret/i);
  const shared = sharedProperties('s3cret', '/recovery');
  const secrets = Object.entries(shared).filter(([, value]) => value.includes('s3cret'));
  assert.deepEqual(secrets, [['spark.authenticate.secret', 's3cret']]);
});

test('a backslash in a setting stays one', () => {
  assert.match(propertiesText({ a: 'b\\c' }), /^a=b\\\\c$/m);
});

test('history is two times, in UTC where they name no zone', () => {
  assert.deepEqual(readHistory('2026-01-31', '2026-02-01T12:30'), {
    fromMs: Date.UTC(2026, 0, 31),
    toMs: Date.UTC(2026, 1, 1, 12, 30),
  });
  assert.equal(
    readHistory('2026-01-31T00:00:01.5+02:00', '2027-01-01').fromMs,
    Date.UTC(2026, 0, 30, 22, 0, 1, 500),
  );
});

for (const [from, to, words] of [
  ['2026-02-31', '2026-03-02', /the time "2026-02-31"; it takes two like/],
  ['2026-02-28', 'soon', /the time "soon"/],
  ['2026-02-28', '2026-02-28', /the second time must be later/],
] as const) {
  test(`history from ${from} to ${to} is refused`, () => {
    assert.throws(() => readHistory(from, to), words);
  });
}

test('without a store of its own the job writes to the engine of a system that only collects and answers', async () => {
  const data = join(folder, 'system');
  const system = await startSystem(data, { CLICKSTREAM_ROLES: 'collect,query' });
  try {
    const set = {
      CLICKSTREAM_LOG: LOG,
      CLICKSTREAM_DATA: data,
      CLICKSTREAM_ENGINE_PORT: new URL(system.engineUrl).port,
      CLICKSTREAM_SPARK_RECORDS: '7',
    };
    const job = await jobEnvironment(readConfig(set), { ...set, HOME: '/' });
    const { owner } = readUsers(join(data, 'store'));
    const { host } = new URL(system.engineUrl);
    assert.deepEqual(job, {
      environment: {
        ...set,
        CLICKSTREAM_STORE: `http://${owner.name}:${owner.password}@${host}/clickstream`,
      },
      reads: '127.0.0.1:1/clicks',
      writes: `http://${host}/clickstream`,
    });
  } finally {
    await system.stop();
  }
});

test('a file of certificates is found from the folder of the job too', () => {
  const path = resolve('a folder/ca.pem').replaceAll(' ', '%20');
  assert.equal(
    withFullPath(`${LOG}?tls=yes&ca=a%20folder/ca.pem&group=g`),
    `${LOG}?tls=yes&ca=${path}&group=g`,
  );
  assert.equal(withFullPath(`${LOG}?tls=yes`), `${LOG}?tls=yes`);
});

const WRONG: [title: string, words: RegExp, Record<string, string>?, string[]?][] = [
  ['no Kafka', /CLICKSTREAM_LOG is "file:log": start one with npm run kafka/],
  [
    'no store yet',
    /There is no store of an embedded engine yet: start Clickstream as/,
    { CLICKSTREAM_LOG: LOG, CLICKSTREAM_DATA: '/nowhere' },
  ],
  [
    'a server that is away',
    /The store does not answer: start it, or set CLICKSTREAM_STORE/,
    { CLICKSTREAM_LOG: LOG, CLICKSTREAM_STORE: 'http://u:p@127.0.0.1:1/c' },
  ],
  ['a setting', /CLICKSTREAM_SPARK_CORES is "0"; it takes/, { CLICKSTREAM_SPARK_CORES: '0' }],
  ['an option', /'--nonsense'; --help lists/, {}, ['--nonsense']],
  ['a parameter', /"nonsense" is not a parameter/, {}, ['nonsense']],
  ['workers', /--workers is "17"; it takes a number from 1 to 16/, {}, ['--workers', '17']],
  ['a port', /--port is "65534"; it takes a number from 1 to 65533/, {}, ['--port', '65534']],
  ['the port of a page', /--ui-port is "x"/, {}, ['--ui-port', 'x']],
  ['a folder', /--data is empty/, {}, ['--data', '']],
  ['half a history', /--history takes two times/, {}, ['--history', '2026-01-01']],
  ['npm’s option', /npm took --ui-port .*-- --ui-port/, { npm_config_ui_port: '1' }],
];
for (const [title, words, environment = {}, parameters = []] of WRONG) {
  test(`the command refuses in one sentence: ${title}`, async () => {
    const { code, output } = await command(parameters, environment);
    assert.equal(code, 1);
    assert.match(output, words);
    assert.equal(output.trim().split('\n').length, 1, output);
  });
}

test('a Java without a compiler is told to become a JDK', async () => {
  const home = join(folder, 'jre');
  await mkdir(join(home, 'bin'), { recursive: true });
  const java = join(home, 'bin', 'java');
  await writeFile(java, '#!/bin/sh\necho \'openjdk version "17.0.1"\' >&2\n');
  await chmod(java, 0o755);
  const before = process.env.JAVA_HOME;
  process.env.JAVA_HOME = resolve(home);
  try {
    assert.match((await whyNoSpark()) ?? '', /with javac, and this Java has none: install a JDK/);
  } finally {
    if (before === undefined) delete process.env.JAVA_HOME;
    else process.env.JAVA_HOME = before;
  }
});
