/**
 * A topic that others fill, from its messages to rows, on a real engine: each event once whatever
 * is killed, and the original's events as its own consumer would have stored them.
 */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { realClock } from '../src/base/clock.ts';
import { createLogger } from '../src/base/logger.ts';
import { createMetrics } from '../src/base/metrics.ts';
import { runSource } from '../src/collect/source.ts';
import type { Step } from '../src/collect/step.ts';
import { openSteps } from '../src/collect/steps.ts';
import { readConfig } from '../src/config.ts';
import { toOriginal } from '../src/demo/sent-event.ts';
import { createShop } from '../src/demo/shop.ts';
import type { Log, NewRecord } from '../src/log/log.ts';
import { createMemoryLog } from '../src/log/memory.ts';
import { openLog, openStore } from '../src/open.ts';
import type { PipelineAnswer } from '../src/process/pipeline/answer.ts';
import { createPipeline } from '../src/process/pipeline/pipeline.ts';
import { createRecords } from '../src/process/records.ts';
import { start } from '../src/start.ts';
import { ALL, DAY_MS, event, NOW_MS, openStages, record, type Stages } from './stages.ts';
import { removeFolder } from './system.ts';

let stages: Stages;
let folder: string;
let steps: readonly Step[];
before(async () => {
  stages = await openStages();
  folder = await mkdtemp(join(tmpdir(), 'clickstream-source-'));
  steps = openSteps({ clock: realClock, dataFolder: folder });
});
after(async () => {
  await stages.close();
  await removeFolder(folder);
});
beforeEach(() => stages.empty());

function message(body: object | string, timeMs = NOW_MS): NewRecord {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { key: '', bytes: Buffer.from(text), timeMs };
}

class Killed extends Error {}

/** Reads the source until all of it is committed; `killedAt`: before the commit of which batch. */
async function read(source: Log, log: Log, nowMs: number, killedAt = Infinity): Promise<void> {
  const ended = new AbortController();
  let commits = 0;
  const killed: Log = {
    ...source,
    async commit(partition, offset, note = '') {
      if (note === '' && ++commits >= killedAt) throw new Killed();
      await source.commit(partition, offset, note);
      const { ends, committed } = await source.stats();
      if (ends.every((end, i) => end === committed[i])) ended.abort();
    },
  };
  const work = runSource({
    ...{ source: killed, log, projectId: 'shop', steps, signal: ended.signal },
    clock: { ...realClock, now: () => nowMs },
    logger: createLogger('silent'),
    metrics: createMetrics(),
  });
  if (killedAt === Infinity) await work;
  else await assert.rejects(work, Killed);
}

async function sumOf(log: Log, nowMs: number): Promise<PipelineAnswer> {
  const { store } = stages;
  const clock = { ...realClock, now: () => nowMs };
  const pipeline = createPipeline({
    ...{ log, store, records: createRecords(store), clock, lastAudit: () => undefined },
  });
  return pipeline.answer();
}

interface Row {
  outcome: string;
  event_id: string;
  rows: number;
}

const countById = (): Promise<Row[]> =>
  stages.store.select<Row>(
    `SELECT outcome, event_id, count() AS rows FROM records WHERE event_name != 'PAGE'
     GROUP BY ALL ORDER BY ALL`,
  );

const LATER_MS = NOW_MS + 3 * DAY_MS;

for (const [title, between] of [
  ['at once', async (_: Log) => undefined],
  [
    'three days later, when the window has moved on',
    async (log: Log) => {
      await log.append(
        Array.from({ length: 500 }, () =>
          record(event({ event_name: 'PAGE', received_at: LATER_MS, event_time: LATER_MS })),
        ),
      );
      await stages.process(log, { nowMs: LATER_MS });
    },
  ],
] as const) {
  test(`killed between append and commit and read again ${title}, each event is there once`, async () => {
    const source = createMemoryLog({ partitions: 1 });
    const events = [...createShop({ seed: 11 }).history(NOW_MS - DAY_MS, NOW_MS, 2_500)];
    const messages = events.map((sent, i) => message(toOriginal(sent), NOW_MS - 5_000 + i));
    // Two without an id, a batch of three, one that the sender repeats, and three that are no events.
    messages.splice(40, 0, message({ event_name: 'CLICK' }), message({ event_name: 'CLICK' }));
    messages.splice(
      700,
      0,
      message([{ event_name: 'A' }, { event_name: 'B' }, { event_name: 'C' }]),
    );
    messages.splice(1_200, 0, message(toOriginal(events[0] ?? { event_name: '' })));
    for (const [i, poison] of ['', 'no json', '{"name":"x"}'].entries())
      messages.splice(100 + i, 0, message(poison));
    // A time that says nothing: that of the first reading counts.
    messages.splice(1_500, 0, message({ event_name: 'D' }, -1));
    await source.append(messages);
    const log = await stages.openLog(2);

    await read(source, log, NOW_MS, 1);
    await stages.process(log);
    await between(log);
    await read(source, log, LATER_MS, 2);
    await stages.process(log, { nowMs: LATER_MS });
    await read(source, log, LATER_MS + DAY_MS);
    await stages.process(log, { nowMs: LATER_MS + DAY_MS });

    const counted = await countById();
    const stored = counted.filter(({ outcome }) => outcome === 'stored');
    assert.deepEqual(
      stored.filter(({ rows }) => rows !== 1),
      [],
    );
    const named = stored.map(({ event_id }) => event_id).filter((id) => !id.includes('/'));
    assert.deepEqual(named.toSorted(), events.map(({ event_id }) => String(event_id)).toSorted());
    assert.equal(stored.length, events.length + 2 + 3 + 1);
    // Refused ones have two rows with one name, as docs/source.md says.
    const rejected = counted.filter(({ outcome }) => outcome === 'rejected');
    assert.deepEqual(
      rejected.map(({ rows }) => rows),
      [2, 2, 2],
    );

    const sum = await sumOf(log, LATER_MS + DAY_MS);
    assert.ok(sum.closed);
    assert.equal(sum.total.waiting + sum.total.missing, 0);
    const { ends } = await log.stats();
    assert.equal(
      sum.total.accepted,
      ends.reduce((all, end) => all + end, 0),
    );
    assert.ok((await stages.alone(log, { nowMs: LATER_MS + DAY_MS }).audit(ALL, false)).closed);
  });
}

/** As the original's producer writes it: a row of a table, numbers with a point, nulls dropped. */
const BOOKING = `{"session_id": "s-1", "event_id": "e-1", "event_name": "BOOKING",
  "event_time": "2018-07-29T15:22:01.458193Z", "traffic_source": "MOBILE", "booking_id": "b-1",
  "customer_id": 5868.0, "gender": "F", "birthdate": "1995-04-13",
  "purchased_product_id": 15311.0, "purchased_quantity": 2.0,
  "purchased_masterCategory": "Apparel", "purchased_subCategory": "Topwear",
  "item_price": 313529.0, "payment_method": "Credit Card", "payment_status": "Success"}`;
/** The same with texts for numbers, and a time as Spark reads it without a zone: UTC. */
const CART = `{"session_id": "s-1", "event_id": "e-2", "event_name": "ADD_TO_CART",
  "event_time": "2018-07-29 15:21:59", "traffic_source": "WEB",
  "add_to_cart_product_id": "15312.0", "add_to_cart_quantity": "1.0",
  "add_to_cart_masterCategory": "Footwear", "add_to_cart_subCategory": "Shoes",
  "customer_id": "5868", "item_price": "19.99"}`;
const SEARCH = `{"session_id": "s-2", "event_id": "e-3", "event_name": "SEARCH",
  "event_time": "2018-07-29T22:22:00+07:00", "traffic_source": "MOBILE",
  "search_keywords": "Celana Panjang é", "customer_id": 7}`;

test('the original’s messages show as the 18 columns that its consumer would have stored', async () => {
  const source = createMemoryLog({ partitions: 1 });
  // A cart beside a purchase: of both, the cart was taken.
  const both = { event_name: 'BOOKING', event_time: '2018-07-29T15:22:03Z', session_id: 's-3' };
  await source.append([
    ...[BOOKING, CART, SEARCH].map((text) => message(text)),
    message({ ...both, event_id: 'e-4', add_to_cart_product_id: 1, purchased_product_id: 2 }),
  ]);
  const log = await stages.openLog(1);
  await read(source, log, NOW_MS);
  await stages.process(log);
  const columns = await stages.store.select<{ name: string; type: string }>(
    "SELECT name, type FROM system.columns WHERE table = 'ecommerce_clickstream_data' AND database = currentDatabase() ORDER BY position",
  );
  assert.deepEqual(
    columns.map(({ name, type }) => `${name} ${type}`),
    [
      'session_id String',
      'event_id String',
      'event_name String',
      "event_time DateTime('UTC')",
      'traffic_source Nullable(String)',
      'search_keywords Nullable(String)',
      'booking_id Nullable(String)',
      'customer_id Nullable(String)',
      'gender Nullable(String)',
      'birthdate Nullable(Date32)',
      'item_price Nullable(Float32)',
      'payment_method Nullable(String)',
      'payment_status Nullable(String)',
      'product_id Nullable(Int32)',
      'quantity Nullable(Int32)',
      'masterCategory Nullable(String)',
      'subCategory Nullable(String)',
      'batch_id Int32',
    ],
  );
  const rows = await stages.store.select<Record<string, unknown>>(
    'SELECT * EXCEPT batch_id REPLACE toString(event_time) AS event_time FROM ecommerce_clickstream_data ORDER BY event_id',
  );
  const none = {
    ...{ search_keywords: null, booking_id: null, customer_id: null, gender: null },
    ...{ birthdate: null, item_price: null, payment_method: null, payment_status: null },
    ...{ product_id: null, quantity: null, masterCategory: null, subCategory: null },
  };
  assert.deepEqual(rows, [
    {
      ...{ ...none, session_id: 's-1', event_id: 'e-1', event_name: 'BOOKING' },
      ...{ event_time: '2018-07-29 15:22:01', traffic_source: 'MOBILE', booking_id: 'b-1' },
      ...{ customer_id: '5868', gender: 'F', birthdate: '1995-04-13', item_price: 313529 },
      ...{ payment_method: 'Credit Card', payment_status: 'Success', product_id: 15311 },
      ...{ quantity: 2, masterCategory: 'Apparel', subCategory: 'Topwear' },
    },
    {
      ...{ ...none, session_id: 's-1', event_id: 'e-2', event_name: 'ADD_TO_CART' },
      ...{ event_time: '2018-07-29 15:21:59', traffic_source: 'WEB', customer_id: '5868' },
      ...{ item_price: 19.99, product_id: 15312, quantity: 1 },
      ...{ masterCategory: 'Footwear', subCategory: 'Shoes' },
    },
    {
      ...{ ...none, session_id: 's-2', event_id: 'e-3', event_name: 'SEARCH' },
      ...{ event_time: '2018-07-29 15:22:00', traffic_source: 'MOBILE', customer_id: '7' },
      search_keywords: 'Celana Panjang é',
    },
    {
      ...{ ...none, session_id: 's-3', event_id: 'e-4', event_name: 'BOOKING' },
      ...{ event_time: '2018-07-29 15:22:03', traffic_source: null, product_id: 1 },
    },
  ]);
});

test('a running system reads its source beside its own addresses, and ends it before its log', async () => {
  const steps: string[] = [];
  const noting = (log: Log, name: string): Log => {
    const close = log.close.bind(log);
    return Object.assign(log, {
      async close() {
        steps.push(`${name} closed`);
        await close();
      },
    });
  };
  const source = createMemoryLog({ partitions: 2 });
  await source.append([
    message({ ...JSON.parse(BOOKING), event_time: undefined }, realClock.now()),
  ]);
  const system = await start(
    readConfig({
      CLICKSTREAM_SOURCE: 'kafka://127.0.0.1:9/ecommerce_clickstream_data',
      ...{ CLICKSTREAM_DATA: join(folder, 'system'), CLICKSTREAM_PORT: '0' },
      CLICKSTREAM_ENGINE_PORT: '0',
    }),
    {
      ...{ clock: realClock, logger: createLogger('silent'), version: 'test', demo: false },
      onFatal(error) {
        throw error;
      },
    },
    {
      openLog: async (...of) => noting(await openLog(...of), 'log'),
      openStore,
      openSource: async () => noting(source, 'source'),
    },
  );
  const asked = `${system.url}/api/projects/shop/total_orders?range=1h&bots=in`;
  for (let orders = 0; orders !== 1; ) {
    const answer = (await (await fetch(asked)).json()) as { rows: { orders: number }[] };
    orders = answer.rows[0]?.orders ?? 0;
  }
  const metrics = await (await fetch(`${system.url}/metrics`)).text();
  assert.match(metrics, /^clickstream_source_records_total 1$/m);
  await system.stop();
  assert.deepEqual(steps, ['source closed', 'log closed']);
});
