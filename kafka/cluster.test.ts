/**
 * A real Kafka, started and stopped as tests, benches and an operator do it. What needs Kafka itself
 * is skipped, with the reason, where it cannot run.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  Admin,
  Consumer,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka';
import { findMaven, javaMajor } from '../java/java.ts';
import { untilWeDie } from '../local/child.ts';
import { freeBase } from '../local/ports.ts';
import { childrenOf, removeFolder, temporaryFolder } from '../test/system.ts';
import { type KafkaCluster, type KafkaOptions, startKafka, whyNoKafka } from './cluster.ts';
import { randomId } from './format.ts';
import { places, properties } from './properties.ts';
import { findKeytool, secureProperties } from './secure.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const skip = (await whyNoKafka()) ?? false;
const skipUnguarded = skip || ((await untilWeDie()).length === 0 && 'no setpriv here');
const commands: ChildProcess[] = [];
const clusters: KafkaCluster[] = [];
let folder: string;

before(async () => {
  folder = await temporaryFolder('kafka');
});
after(async () => {
  // What a test that failed has left behind would keep this process alive.
  for (const child of commands) child.kill('SIGKILL');
  await Promise.all(clusters.map((kafka) => kafka.close()));
  await removeFolder(folder);
});

function command(parameters: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [MAIN, ...parameters], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  commands.push(child);
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const closed = once(child, 'close') as Promise<[number | null]>;
  return { child, closed, output: () => output };
}

/** Resolves with the nodes' process ids when the command says that it runs. */
async function running({ child, closed, output }: ReturnType<typeof command>): Promise<number[]> {
  while (!output().includes('is running')) {
    const ended = await Promise.race([closed, once(child.stdout, 'data').then(() => null)]);
    if (ended !== null) throw new Error(`it ended with ${ended[0]}:\n${output()}`);
  }
  return childrenOf(child.pid ?? 0);
}

async function started(options: KafkaOptions): Promise<KafkaCluster> {
  const kafka = await startKafka(options);
  clusters.push(kafka);
  return kafka;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const JAVAS: [text: string, major: number | undefined][] = [
  ['openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17],
  ['openjdk version "25" 2025-09-16', 25],
  ['java version "1.8.0_392"', 8],
  ['The operation couldn’t be completed. Unable to locate a Java Runtime.', undefined],
  ['', undefined],
];
for (const [text, major] of JAVAS) {
  test(`the version of Java is read from: ${text.split('\n')[0] || 'nothing'}`, () => {
    assert.equal(javaMajor(text), major);
  });
}

test('brokers come first on the ports, controllers after them, and all know the quorum', () => {
  const all = places('cluster', 9092);
  assert.deepEqual(
    all.map(({ name, port, controllerPort }) => [name, port ?? controllerPort]),
    [
      ['broker-1', 9092],
      ['broker-2', 9093],
      ['controller-3', 9094],
      ['controller-4', 9095],
      ['controller-5', 9096],
    ],
  );
  for (const place of all) {
    const lines = properties(place, all, 1_000).split('\n');
    const quorum = '3@127.0.0.1:9094,4@127.0.0.1:9095,5@127.0.0.1:9096';
    assert.ok(lines.includes(`controller.quorum.voters=${quorum}`));
    assert.ok(lines.includes(`process.roles=${place.role}`));
    assert.ok(lines.includes('offsets.topic.replication.factor=2'));
    assert.ok(lines.includes('broker.heartbeat.interval.ms=200'));
  }
});

test('a single node is both and has no second broker to copy to', () => {
  const [place, ...others] = places('single', 9092);
  assert.ok(place !== undefined && others.length === 0);
  const lines = properties(place, [place], 2_000).split('\n');
  const listeners = 'PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9094';
  assert.ok(lines.includes(`listeners=${listeners}`));
  assert.ok(lines.includes('process.roles=broker,controller'));
  assert.ok(lines.includes('default.replication.factor=1'));
});

test('a node that is secure speaks TLS to its clients and plainly to itself', () => {
  const [place] = places('single', 9092);
  assert.ok(place !== undefined);
  const password = 'a "quoted\\word';
  const login = secureProperties({ keystore: 'k', pem: 'p' }, { user: 'ada', password });
  const lines = properties(place, [place], 2_000, login).split('\n');
  const listeners =
    'SASL_SSL://127.0.0.1:9092,PLAINTEXT://127.0.0.1:9093,CONTROLLER://127.0.0.1:9094';
  assert.ok(lines.includes(`listeners=${listeners}`));
  const jaas = lines.find((line) => line.includes('.plain.sasl.jaas.config='));
  assert.match(jaas ?? '', /required user_ada="a \\\\"quoted\\\\\\\\word";$/);
});

test('no id of a cluster looks like an option of a command', () => {
  for (let i = 0; i < 1_000; i++) assert.match(randomId(), /^\w[\w-]{21}$/);
});

test('the free ports are below those of outgoing connections', async () => {
  assert.ok((await freeBase()) < 32_000);
});

test('a machine without Maven or keytool is told what is missing', async () => {
  const path = process.env.PATH;
  process.env.PATH = '/nowhere';
  try {
    await assert.rejects(findMaven('Kafka'), /no mvn that runs: install Maven/);
    if (process.env.JAVA_HOME === undefined)
      await assert.rejects(findKeytool(), /made with keytool, and this Java has none/);
  } finally {
    process.env.PATH = path;
  }
});

const WRONG: [title: string, words: RegExp, parameters: string[], Record<string, string>?][] = [
  ['no Java', /PATH has no Java: install Java 17 or later/, [], { PATH: '/nowhere' }],
  ['an empty JAVA_HOME', /JAVA_HOME \(\/nowhere\) has no Java/, [], { JAVA_HOME: '/nowhere' }],
  ['an option', /'--nonsense'; --help lists/, ['--nonsense']],
  ['a port', /--port is "65535"; it takes a number from 1 to 65531/, ['--port', '65535']],
  ['a folder', /--data is empty/, ['--data', '']],
  ['npm’s option', /npm took --single .*-- --single/, [], { npm_config_single: 'true' }],
];
for (const [title, words, parameters, environment] of WRONG) {
  test(`the command refuses in one sentence: ${title}`, async () => {
    const { closed, output } = command(parameters, environment);
    assert.equal((await closed)[0], 1);
    assert.match(output(), words);
    assert.equal(output().trim().split('\n').length, 1, output());
  });
}

test('a Java that is too old is refused with its version', async () => {
  const home = join(folder, 'old-java');
  await mkdir(join(home, 'bin'), { recursive: true });
  const java = join(home, 'bin', 'java');
  await writeFile(java, '#!/bin/sh\necho \'java version "1.8.0_392"\' >&2\n');
  await chmod(java, 0o755);
  const { closed, output } = command([], { JAVA_HOME: home });
  assert.equal((await closed)[0], 1);
  assert.match(output(), /This Java is version 8, too old for Kafka: install Java 17 or later/);
});

test('a port in use is named', { skip }, async () => {
  const base = await freeBase();
  const blocker = createServer()
    .listen(base + 2, '127.0.0.1')
    .unref();
  await once(blocker, 'listening');
  const { closed, output } = command(['--single', '--port', `${base}`, '--data', folder]);
  assert.equal((await closed)[0], 1);
  assert.match(output(), new RegExp(`port ${base + 2} is in use.*--port`));
});

test('a single node keeps topics and records, comes back, and ends with close', {
  skip,
}, async () => {
  // After a kill, a node waits until its former self is forgotten: soon, here.
  const options = { folder: join(folder, 'single'), layout: 'single', sessionMs: 500 } as const;
  const said: string[] = [];
  let kafka = await started({ ...options, progress: (text) => said.push(text) });
  const client = () => ({ clientId: 'test', bootstrapBrokers: kafka.brokers.split(',') });
  const admin = new Admin(client());
  await admin.createTopics({ topics: ['kept'], partitions: 1, replicas: 1 });
  await admin.close();
  const producer = new Producer({ ...client(), serializers: stringSerializers });
  await producer.send({ messages: [{ topic: 'kept', key: 'k', value: 'a record' }], acks: -1 });
  await producer.close();
  const [node] = kafka.nodes;
  assert.ok(node?.pid !== undefined);
  assert.equal(await kafka.activeController(), node);
  assert.ok((await kafka.residentBytes()) > 50e6);

  // A stop that was asked for is not announced; a death is, with the place of its logs.
  await node.stop();
  assert.equal(node.pid, undefined);
  await node.start();
  assert.doesNotMatch(said.join('\n'), /ended by itself/);
  process.kill(node.pid, 'SIGKILL');
  while (node.pid !== undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.match(said.at(-1) ?? '', /^node-1 ended by itself by SIGKILL; its logs are in .*node-1/);
  await kafka.close();

  kafka = await started(options);
  const consumer = new Consumer({
    ...client(),
    groupId: 'test',
    sessionTimeout: 1_000,
    heartbeatInterval: 300,
    deserializers: stringDeserializers,
  });
  const stream = await consumer.consume({ topics: ['kept'], mode: 'earliest', maxWaitTime: 100 });
  const [message] = (await once(stream, 'data')) as [{ value: string }];
  assert.equal(message.value, 'a record');
  await stream.close();
  await consumer.close(true);

  const [again] = kafka.nodes;
  const pid = again?.pid ?? 0;
  again?.freeze();
  await kafka.close();
  assert.equal(again?.pid, undefined);
  assert.ok(!isAlive(pid));
  await assert.rejects(started({ ...options, layout: 'cluster' }), /holds a single node/);
});

test('the command stops its node and ends with 0; its folder is for one at a time', {
  skip,
}, async () => {
  const parameters = ['--single', '--data', join(folder, 'command'), '--port'];
  const port = await freeBase();
  const first = command([...parameters, `${port}`]);
  const pids = await running(first);
  assert.equal(pids.length, 1);
  assert.match(
    first.output(),
    new RegExp(`CLICKSTREAM_LOG=kafka://127.0.0.1:${port}/clickstream `),
  );

  const second = command([...parameters, `${await freeBase()}`]);
  assert.equal((await second.closed)[0], 1);
  assert.match(second.output(), new RegExp(`in use by process ${first.child.pid}`));

  first.child.kill('SIGTERM');
  assert.equal((await first.closed)[0], 0);
  assert.ok(!pids.some(isAlive));
});

test('a command that is killed takes its node with it', { skip: skipUnguarded }, async () => {
  const port = `${await freeBase()}`;
  const killed = command(['--single', '--data', join(folder, 'killed'), '--port', port]);
  const [pid = 0] = await running(killed);
  killed.child.kill('SIGKILL');
  await killed.closed;
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
});
