/**
 * The source on a real topic: the command that fills it, a system that reads it, killed and started
 * again. Skipped, with the reason, where Kafka cannot run.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KafkaCluster, startKafka, whyNoKafka } from '../kafka/cluster.ts';
import { realClock } from '../src/base/clock.ts';
import { createLogger } from '../src/base/logger.ts';
import { readConfig } from '../src/config.ts';
import type { Log } from '../src/log/log.ts';
import { openTopic } from '../src/open.ts';
import {
  freePort,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
} from './system.ts';

const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');
const EVENTS = 3_000;
const skip = (await whyNoKafka()) ?? false;
let folder: string;
let kafka: KafkaCluster;
let address: string;
const systems: SystemProcess[] = [];

before(async () => {
  folder = await temporaryFolder('source-kafka');
  if (skip !== false) return;
  kafka = await startKafka({ folder: join(folder, 'kafka'), layout: 'single' });
  address = `kafka://${kafka.brokers}/ecommerce_clickstream_data`;
});
after(async () => {
  for (const { child } of systems) child.kill('SIGKILL');
  await kafka?.close();
  await removeFolder(folder);
});

async function fill(...parameters: string[]): Promise<void> {
  const child = spawn(process.execPath, [MAIN, 'send-original', '--to', address, ...parameters], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
}

interface Sum {
  closed: boolean;
  total: { accepted: number; stored: number; duplicate: number; rejected: number; waiting: number };
}

test('what the original’s producer writes to a topic is stored once, with a kill in between', {
  skip,
}, async () => {
  const shape = ['--events', String(EVENTS), '--rate', '0', '--from', '2026-11-20'];
  await fill(...shape);
  const data = join(folder, 'data');
  await mkdir(data);
  const environment = {
    CLICKSTREAM_SOURCE: address,
    CLICKSTREAM_PORT: String(await freePort()),
    CLICKSTREAM_ENGINE_PORT: String(await freePort()),
    CLICKSTREAM_KAFKA_SESSION_MS: '6000',
  };
  const first = await startSystem(data, environment);
  systems.push(first);
  const sumOf = async (url: string): Promise<Sum> =>
    (await (await fetch(`${url}/api/pipeline?project=shop`)).json()) as Sum;
  while ((await sumOf(first.url)).total.stored === 0) await realClock.sleep(50);
  first.child.kill('SIGKILL');
  await once(first.child, 'close');

  // The same once more, as a producer does that has lost its place, and what is no event.
  await fill(...shape);
  const topic: Log = await openTopic(address, readConfig({}), {
    clock: realClock,
    logger: createLogger('silent'),
    onFatal(error) {
      throw error;
    },
  });
  const timeMs = realClock.now();
  await topic.append(
    ['', 'no json'].map((text) => ({ key: text, bytes: Buffer.from(text), timeMs })),
  );
  await topic.close();

  const second = await startSystem(data, environment);
  systems.push(second);
  for (;;) {
    const { total } = await sumOf(second.url);
    if (total.waiting === 0 && total.rejected === 2 && total.accepted >= 2 * EVENTS + 2) break;
    await realClock.sleep(100);
  }
  const sum = await sumOf(second.url);
  assert.ok(sum.closed);
  assert.equal(sum.total.stored, EVENTS);
  assert.equal(await second.stop(), 0);
});
