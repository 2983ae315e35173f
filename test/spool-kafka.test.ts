/**
 * A whole system whose brokers are gone, as an operator meets it: what is known is told at once, on
 * the page and to programs. Skipped, with the reason, where Kafka cannot run.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KafkaCluster, startKafka, whyNoKafka } from '../kafka/cluster.ts';
import { launchBrowser } from './browser.ts';
import { removeFolder, type SystemProcess, startSystem, temporaryFolder } from './system.ts';

const skip = (await whyNoKafka()) ?? false;
let folder: string;
let kafka: KafkaCluster | undefined;
let system: SystemProcess | undefined;

before(async () => {
  folder = await temporaryFolder('spool-kafka');
});
after(async () => {
  system?.child.kill('SIGKILL');
  await kafka?.close();
  await removeFolder(folder);
});

test('while the brokers are gone the page, the sum and a scrape tell what is on the spool', {
  skip,
}, async () => {
  kafka = await startKafka({ folder: join(folder, 'kafka'), layout: 'single' });
  system = await startSystem(join(folder, 'data'), {
    // Without a processor there is no self-check, whose event would be one more.
    CLICKSTREAM_ROLES: 'collect,query',
    CLICKSTREAM_LOG: `kafka://${kafka.brokers}/away`,
    CLICKSTREAM_KAFKA_ACK_MS: '1000',
  });
  const { url } = system;
  await kafka.close();
  const body = JSON.stringify([{ event_name: 'AWAY' }, { event_name: 'AWAY' }]);
  const posted = await fetch(`${url}/v1/events?key=shop-dev-key`, { method: 'POST', body });
  assert.equal(posted.status, 202);

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
