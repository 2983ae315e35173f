/**
 * A collector with dashboard and engine whose log others process, as an operator meets it, also when
 * the brokers are gone: then what is known is told at once, on the page and to programs. Skipped, with the reason, where Kafka cannot run.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KafkaCluster, startKafka, whyNoKafka } from '../kafka/cluster.ts';
import { readUsers } from '../src/engine/users.ts';
import type { PipelineAnswer } from '../src/process/pipeline/answer.ts';
import { launchBrowser } from './browser.ts';
import {
  freePort,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
} from './system.ts';

const skip = (await whyNoKafka()) ?? false;
const MAIN = join(import.meta.dirname, '..', 'src', 'main.ts');
let folder: string;
let kafka: KafkaCluster;
let system: SystemProcess;
let environment: Readonly<Record<string, string>>;

before(async () => {
  folder = await temporaryFolder('spool-kafka');
  if (skip !== false) return;
  kafka = await startKafka({ folder: join(folder, 'kafka'), layout: 'single' });
  environment = {
    CLICKSTREAM_DATA: join(folder, 'data'),
    CLICKSTREAM_LOG: `kafka://${kafka.brokers}/away`,
    CLICKSTREAM_ROLES: 'collect,query',
    CLICKSTREAM_KAFKA_ACK_MS: '1000',
    CLICKSTREAM_PORT: String(await freePort()),
    CLICKSTREAM_ENGINE_PORT: String(await freePort()),
  };
  system = await startSystem(environment.CLICKSTREAM_DATA ?? '', environment);
});
after(async () => {
  system?.child.kill('SIGKILL');
  await kafka?.close();
  await removeFolder(folder);
});

async function post(): Promise<number> {
  const body = JSON.stringify([{ event_name: 'AWAY' }, { event_name: 'AWAY' }]);
  const url = `${system.url}/v1/events?key=shop-dev-key`;
  return (await fetch(url, { method: 'POST', body })).status;
}

/** What `clickstream audit` writes. */
async function audit(more: Readonly<Record<string, string>>): Promise<string> {
  const env = { PATH: process.env.PATH, ...environment, ...more };
  const child = spawn(process.execPath, [MAIN, 'audit'], { env });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (text += data));
  await once(child, 'close');
  return text;
}

test('a process without a processor tells what waits for others, and its engine can be audited', {
  skip,
}, async () => {
  assert.equal(await post(), 202);
  const response = await fetch(`${system.url}/api/pipeline`);
  const { closed, total } = (await response.json()) as PipelineAnswer;
  assert.deepEqual([closed, total.accepted, total.waiting], [true, 2, 2]);
  assert.match(await audit({}), /does not have the role "process": .* set CLICKSTREAM_STORE to/);
  const { owner } = readUsers(join(folder, 'data', 'store'));
  const host = new URL(system.engineUrl).host;
  const address = `http://${owner.name}:${owner.password}@${host}/clickstream`;
  assert.match(await audit({ CLICKSTREAM_STORE: address }), /The sum closes/);
});

test('while the brokers are gone the page, the sum and a scrape tell what is on the spool', {
  skip,
}, async () => {
  const { url } = system;
  await kafka.close();
  assert.equal(await post(), 202);

  // In its own words: who had waited would have been told those of the brokers.
  const message = 'What is on the log is not known until it answers again.';
  const response = await fetch(`${url}/api/pipeline`);
  const answer = (await response.json()) as { error: object; spool: { records: number } };
  assert.deepEqual(answer.error, { code: 'log_unreachable', message });
  assert.equal(answer.spool.records, 2);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /^clickstream_spool_records 2$/m);
  assert.doesNotMatch(metrics, /^clickstream_(records|log_end)\{/m);

  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(`${url}/pipeline`);
    const spool = page.getByTestId('spool');
    await spool.waitFor();
    assert.match((await spool.textContent()) ?? '', /does not answer. 2 records are on the spool/);
    assert.equal(await page.getByRole('alert').locator('p').textContent(), message);
  } finally {
    await browser.close();
  }
});
