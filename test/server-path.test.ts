/**
 * The whole system on a store that is a server: one event from HTTP to answer, a wrong password, and
 * a server that is killed and started again while events come in.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { PipelineAnswer } from '../src/process/pipeline/answer.ts';
import type { Answer } from '../src/query/questions.ts';
import { type EngineServer, startEngineServer } from './engine-server.ts';
import {
  freePort,
  removeFolder,
  type SystemProcess,
  spawnSystem,
  startSystem,
  temporaryFolder,
  untilStored,
} from './system.ts';

let server: EngineServer;
let folder: string;

before(async () => {
  folder = await temporaryFolder('server-path');
  server = await startEngineServer();
});
after(async () => {
  // Those of a test that has failed.
  for (const { child } of started) child.kill('SIGKILL');
  await server.close();
  await removeFolder(folder);
});

const started: SystemProcess[] = [];
async function startOn(data: string): Promise<SystemProcess> {
  const system = await startSystem(join(folder, data), { CLICKSTREAM_STORE: server.address });
  started.push(system);
  return system;
}

async function post({ url }: SystemProcess, events: object[]): Promise<number> {
  const response = await fetch(`${url}/v1/events?key=shop-dev-key`, {
    method: 'POST',
    body: JSON.stringify(events),
  });
  await response.arrayBuffer();
  return response.status;
}

async function events({ url }: SystemProcess, name: string): Promise<number> {
  const response = await fetch(
    `${url}/api/projects/shop/totals?range=1h&bots=in&f=event_name:is:${name}`,
  );
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return (JSON.parse(text) as Answer<'totals'>).rows[0]?.events ?? 0;
}

/** Of every record of the log. An answer holds for some seconds: it is asked for until it is new. */
async function sumOf({ url }: SystemProcess, records: number): Promise<PipelineAnswer> {
  for (;;) {
    const sum = (await (await fetch(`${url}/api/pipeline`)).json()) as PipelineAnswer;
    if (sum.total.accepted >= records && sum.total.waiting === 0) return sum;
  }
}

test('an event is in the answer after its 202, and once', async () => {
  const system = await startOn('path');
  for (let i = 0; i < 2; i++)
    assert.equal(await post(system, [{ event_name: 'FIRST', event_id: 'first' }]), 202);
  await untilStored(system);
  assert.equal(await events(system, 'FIRST'), 1);
  const [, ...children] = await system.pids();
  assert.deepEqual(children, [], 'it has no engine of its own');
  assert.equal(await system.stop(), 0, system.output());
});

test('a wrong password ends a start in one sentence without it, and nothing is lost', async () => {
  let system = await startOn('password');
  await server.kill();
  assert.equal(await post(system, [{ event_name: 'WAITS', event_id: 'waits' }]), 202);
  await system.kill();
  await server.startAgain();

  const address = new URL(server.address);
  const { password } = address;
  address.password = 'not-the-password';
  const refused = spawnSystem(join(folder, 'password'), {
    CLICKSTREAM_STORE: String(address),
    CLICKSTREAM_PORT: String(await freePort()),
    CLICKSTREAM_ENGINE_PORT: String(await freePort()),
    CLICKSTREAM_LOG_LEVEL: 'warn',
  });
  await assert.rejects(refused.ready(), /it ended with 1/);
  const said = refused.output().trim();
  assert.match(said, /^clickstream: .*user "clickstream".*CLICKSTREAM_STORE.*\(store_refused\)$/);
  for (const secret of ['not-the-password', password]) assert.ok(!said.includes(secret), said);

  system = await startOn('password');
  await untilStored(system);
  assert.equal(await events(system, 'WAITS'), 1);
  assert.equal(await system.stop(), 0, system.output());
  assert.ok(!system.output().includes(password));
});

test('a server that is killed and started again while events come in has each of them once', async () => {
  const system = await startOn('killed');
  let sent = 0;
  let isOver = false;
  const sending = (async () => {
    while (!isOver) {
      const batch = Array.from({ length: 50 }, (_, i) => ({
        event_name: 'KILLED',
        event_id: `killed-${sent + i}`,
      }));
      if ((await post(system, batch)) === 202) sent += batch.length;
    }
  })();
  for (let i = 0; i < 3; i++) {
    const before = sent;
    while (sent < before + 1_000) await new Promise((resolve) => setImmediate(resolve));
    await server.kill();
    const killed = sent;
    // The log takes them meanwhile.
    while (sent < killed + 200) await new Promise((resolve) => setImmediate(resolve));
    await server.startAgain();
  }
  isOver = true;
  await sending;
  await untilStored(system);
  assert.equal(await events(system, 'KILLED'), sent);
  const sum = await sumOf(system, sent);
  assert.deepEqual([sum.closed, sum.total.missing], [true, 0]);
  assert.equal(await system.stop(), 0, system.output());
  assert.ok(!system.output().includes(new URL(server.address).password));
});
