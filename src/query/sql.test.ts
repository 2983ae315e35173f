/**
 * Every question: events in, the expected answer out, on a real engine. The expected answers are
 * recounted in TypeScript from the same events, written without a look at the SQL.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { realClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { createShop } from '../demo/shop.ts';
import { type Engine, startEngine } from '../engine/start.ts';
import type { Event } from '../event/event.ts';
import { COLUMNS, storedRow } from '../process/row.ts';
import { createClickHouseStore } from '../store/clickhouse.ts';
import type { Store } from '../store/store.ts';
import { toCsv } from './csv.ts';
import { createLive, type LiveMessage } from './live.ts';
import { readParams } from './params.ts';
import type { Answer, Question, Rows } from './questions.ts';
import { createQuestions, isLive, type Questions, readHeader, readSqlFiles } from './run.ts';

const logger = createLogger('silent');
const SEED = Number(process.env.CLICKSTREAM_TEST_SEED ?? 20261124);
const TO_MS = Date.UTC(2026, 10, 24);
const FROM_MS = TO_MS - 7 * 86_400_000;
const RANGE = `from=${FROM_MS}&to=${TO_MS}`;
const PAGE_VIEWS = ['page_view', 'HOMEPAGE', 'ITEM_DETAIL', 'PROMO_PAGE'];

let folder: string;
let engine: Engine;
let store: Store;
let questions: Questions;
let shop: Event[];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clickstream-query-'));
  const memoryBytesMax = 512 * 1024 * 1024;
  engine = await startEngine({
    folder,
    port: 0,
    memoryBytesMax,
    readers: 2,
    logger,
    clock: realClock,
  });
  const { name: user, password } = engine.owner;
  store = createClickHouseStore({ url: engine.url, user, password, database: 'clickstream' });
  await store.migrate();
  questions = createQuestions({ store, clock: realClock, freshness: undefined });
  shop = [...createShop({ seed: SEED }).history(FROM_MS, TO_MS, 6_000)].map((sent) =>
    asStored(sent),
  );
  await insert([...shop, ...special()]);
});

after(async () => {
  await store.close();
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

let offset = 0;

async function insert(events: Event[]): Promise<void> {
  const rows = events.map((event) => {
    const propertiesText = event.properties === undefined ? '' : JSON.stringify(event.properties);
    const place = { log_id: 1, log_partition: 0, log_offset: offset++, batch_id: 1, owner: 0 };
    return storedRow({ event, propertiesText }, place);
  });
  await store.insert('records', COLUMNS, rows);
}

function asStored(sent: Partial<Event> & { event_name: string }): Event {
  const path = sent.url === undefined ? {} : { path: new URL(sent.url).pathname };
  const channel = sent.referrer === undefined ? 'direct' : 'referral';
  return {
    v: 1,
    project_id: 'shop',
    event_id: `x-${Math.random()}`,
    session_id: '',
    visitor_id: '',
    event_time: TO_MS - 1,
    received_at: TO_MS,
    ...path,
    channel,
    ...sent,
  };
}

/** Events at the edges of what the questions must tell apart; each in a project of its own. */
function special(): Event[] {
  const at = (iso: string): number => Date.parse(iso);
  const zone = (event_id: string, iso: string): Event =>
    asStored({
      event_name: 'page_view',
      project_id: 'zones',
      event_id,
      session_id: event_id,
      event_time: at(iso),
    });
  return [
    zone('before', '2026-11-16T23:59:59.999Z'),
    zone('first', '2026-11-17T00:00:00.000Z'),
    zone('sunday', '2026-11-22T23:30:00.000Z'),
    zone('last', '2026-11-23T23:59:59.999Z'),
    zone('after', '2026-11-24T00:00:00.000Z'),
    asStored({
      event_name: 'HOMEPAGE',
      project_id: 'bots',
      event_id: 'b1',
      session_id: 'b1',
      bot: 'user_agent',
    }),
    asStored({ event_name: 'HOMEPAGE', project_id: 'bots', event_id: 'b2', session_id: 'b2' }),
    asStored({
      event_name: 'BOOKING',
      project_id: 'items',
      event_id: 'i1',
      session_id: 'i1',
      booking_id: 'o1',
      payment_status: 'Success',
      items: [
        {
          product_id: 'a',
          quantity: 2,
          item_price: '10.5',
          master_category: 'Apparel',
          sub_category: 'Topwear',
        },
        {
          product_id: 'b',
          quantity: 1,
          item_price: '0.0001',
          master_category: 'Footwear',
          sub_category: 'Shoes',
        },
        { product_id: 'c', master_category: 'Apparel', sub_category: 'Topwear' },
      ],
    }),
    asStored({
      event_name: 'BOOKING',
      project_id: 'items',
      event_id: 'i2',
      session_id: 'i1',
      booking_id: 'o1',
      payment_status: 'Failed',
      value: '99',
    }),
    asStored({
      event_name: 'SEARCH',
      project_id: 'words',
      event_id: 'w1',
      session_id: 'w1',
      search_keywords: 'it\'s 100% \\ "ünï"',
    }),
    asStored({
      event_name: 'SEARCH',
      project_id: 'words',
      event_id: 'w2',
      session_id: 'w2',
      search_keywords: '=1+1',
    }),
  ];
}

async function ask<Q extends Question>(
  question: Q,
  query = '',
  project = 'shop',
): Promise<Rows[Q][]> {
  const asked = readParams(project, new URLSearchParams(`${RANGE}&limit=1000&${query}`), TO_MS);
  return ((await questions.answer(question, asked)) as Answer<Q>).rows;
}

// What follows recounts from the events.

const distinct = (values: readonly unknown[]): number => new Set(values).size;
const bookings = (): Event[] => shop.filter((e) => e.event_name === 'BOOKING' && e.booking_id);
const orders = (events: readonly Event[]): number => distinct(events.map((e) => e.booking_id));
const visits = (events: readonly Event[]): number => distinct(events.map((e) => e.session_id));
const time = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');

/** Groups, makes a row of each, and sorts as the questions do: by the number, then by the names. */
function table<T>(
  events: readonly Event[],
  key: (e: Event) => string,
  row: (inside: Event[], key: string) => T,
): T[] {
  return [...Map.groupBy(events, key)].map(([name, inside]) => row(inside, name));
}

const same = (found: readonly object[], expected: readonly object[]): void => {
  const sorted = (rows: readonly object[]): string[] => rows.map((r) => JSON.stringify(r)).sort();
  assert.deepEqual(sorted(found), sorted(expected));
};

test('the seed of this run', (t) => t.diagnostic(`CLICKSTREAM_TEST_SEED=${SEED}`));

test('totals', async () => {
  const paid = bookings().filter((e) => e.payment_status === 'Success');
  const cents = paid.reduce((sum, e) => sum + Math.round(Number(e.value) * 100), 0);
  const [row] = await ask('totals');
  assert.equal(row?.events, shop.length);
  assert.equal(row?.page_views, shop.filter((e) => PAGE_VIEWS.includes(e.event_name)).length);
  assert.equal(row?.visitors, distinct(shop.map((e) => e.visitor_id)));
  assert.equal(row?.visits, visits(shop));
  assert.equal(row?.orders, orders(bookings()));
  assert.equal(Math.round(Number(row?.revenue) * 100), cents);
  assert.ok(Math.abs((row?.conversion ?? 0) - visits(bookings()) / visits(shop)) < 1e-9);
});

test('events_over_time and visits_over_time, by hour, without holes', async () => {
  const hour = 3_600_000;
  const byHour = Map.groupBy(shop, (e) => Math.floor(e.event_time / hour) * hour);
  const steps = Array.from({ length: 7 * 24 }, (_, i) => FROM_MS + i * hour);
  const expected = steps.map((ms) => {
    const inside = byHour.get(ms) ?? [];
    return { time: time(ms), events: inside.length, visits: visits(inside) };
  });
  assert.deepEqual(await ask('events_over_time', 'interval=hour'), expected);
  assert.deepEqual(
    await ask('visits_over_time', 'interval=hour'),
    expected.map(({ time, visits }) => ({ time, visits })),
  );
});

test('every interval has buckets without holes', async () => {
  for (const [interval, count] of [
    ['quarter_hour', 672],
    ['day', 7],
    ['week', 2],
    ['month', 1],
  ] as const) {
    const rows = await ask('events_over_time', `interval=${interval}`);
    assert.equal(rows.length, count, interval);
    assert.equal(
      rows.reduce((sum, row) => sum + row.events, 0),
      shop.length,
      interval,
    );
  }
});

test('events_by_name', async () => {
  same(
    await ask('events_by_name'),
    table(
      shop,
      (e) => e.event_name,
      (inside, event_name) => ({ event_name, events: inside.length, visits: visits(inside) }),
    ),
  );
});

test('top_pages', async () => {
  const views = shop.filter((e) => PAGE_VIEWS.includes(e.event_name) && e.path);
  same(
    await ask('top_pages'),
    table(
      views,
      (e) => e.path ?? '',
      (inside, path) => ({
        path,
        views: inside.length,
        visitors: distinct(inside.map((e) => e.visitor_id)),
      }),
    ),
  );
  const [first, second] = await ask('top_pages', 'limit=2');
  assert.ok((first?.views ?? 0) >= (second?.views ?? 0));
});

test('top_searches', async () => {
  same(
    await ask('top_searches'),
    table(
      shop.filter((e) => e.search_keywords),
      (e) => e.search_keywords ?? '',
      (inside, search_keywords) => ({
        search_keywords,
        searches: inside.length,
        visitors: distinct(inside.map((e) => e.visitor_id)),
      }),
    ),
  );
});

test('top_channels: a visit belongs to its first channel', async () => {
  const first = [...Map.groupBy(shop, (e) => e.session_id).values()].map((inside) => {
    const [opening] = inside.toSorted(
      (a, b) => a.event_time - b.event_time || (a.sequence ?? 0) - (b.sequence ?? 0),
    );
    const made = orders(inside.filter((e) => e.event_name === 'BOOKING' && e.booking_id));
    return { channel: opening?.channel ?? '', made };
  });
  same(
    await ask('top_channels'),
    [...Map.groupBy(first, (visit) => visit.channel)].map(([channel, inside]) => ({
      channel,
      visits: inside.length,
      orders: inside.reduce((sum, visit) => sum + visit.made, 0),
    })),
  );
});

test('total_orders and ordering_customers', async () => {
  assert.deepEqual(await ask('total_orders'), [{ orders: orders(bookings()) }]);
  const known = bookings().filter((e) => e.customer_id);
  assert.deepEqual(await ask('ordering_customers'), [
    { customers: distinct(known.map((e) => e.customer_id)) },
  ]);
});

test('payment_status and payment_status_by_method', async () => {
  same(
    await ask('payment_status'),
    table(
      bookings(),
      (e) => e.payment_status ?? '',
      (inside, payment_status) => ({ payment_status, orders: orders(inside) }),
    ),
  );
  same(
    await ask('payment_status_by_method'),
    table(
      bookings(),
      (e) => `${e.payment_method}|${e.payment_status}`,
      (inside, key) => {
        const [payment_method, payment_status] = key.split('|');
        return { payment_method, payment_status, orders: orders(inside) };
      },
    ),
  );
});

test('orders_by_category, orders_by_gender_and_category and cart_additions_by_category', async () => {
  const both = (e: Event): string => `${e.master_category}|${e.sub_category}`;
  same(
    await ask('orders_by_category'),
    table(bookings(), both, (inside, key) => {
      const [master_category, sub_category] = key.split('|');
      return { master_category, sub_category, orders: orders(inside) };
    }),
  );
  same(
    await ask('orders_by_gender_and_category'),
    table(
      bookings(),
      (e) => `${e.gender}|${e.master_category}`,
      (inside, key) => {
        const [gender, master_category] = key.split('|');
        return { gender, master_category, orders: orders(inside) };
      },
    ),
  );
  same(
    await ask('cart_additions_by_category'),
    table(
      shop.filter((e) => e.event_name === 'ADD_TO_CART'),
      both,
      (inside, key) => {
        const [master_category, sub_category] = key.split('|');
        return { master_category, sub_category, additions: inside.length };
      },
    ),
  );
});

test('an order with several items counts once in each of its categories', async () => {
  assert.deepEqual(await ask('orders_by_category', '', 'items'), [
    { master_category: 'Apparel', sub_category: 'Topwear', orders: 1 },
    { master_category: 'Footwear', sub_category: 'Shoes', orders: 1 },
    { master_category: 'unknown', sub_category: 'unknown', orders: 1 },
  ]);
  const [totals] = await ask('totals', '', 'items');
  assert.equal(totals?.orders, 1);
  assert.equal(totals?.revenue, '21.0001');
});

test('items has a row for each product, an event without a list is one itself, and others have none', async () => {
  const project_id = 'products';
  const item = { product_id: 'a', quantity: 2, item_price: '1.5', sub_category: 'Dress' };
  const own = { product_id: 'c', quantity: 1, item_price: '9', master_category: 'Footwear' };
  const named = (event_name: string, more: Partial<Event>): Event =>
    asStored({ event_name, event_id: event_name, project_id, ...more });
  await insert([
    named('ADD_TO_CART', { items: [item, { product_id: 'b' }] }),
    named('BOOKING', { booking_id: 'one', ...own }),
    named('ITEM_DETAIL', own),
  ]);
  const rows = await store.select(
    `SELECT event_id, booking_id, product_id, quantity, toString(item_price) AS item_price,
       master_category, sub_category
     FROM items WHERE project_id = {project_id:String} ORDER BY product_id`,
    { project_id },
  );
  const cart = { event_id: 'ADD_TO_CART', booking_id: '', master_category: '' };
  assert.deepEqual(rows, [
    { ...cart, ...item },
    { ...cart, product_id: 'b', quantity: null, item_price: null, sub_category: '' },
    { event_id: 'BOOKING', booking_id: 'one', ...own, sub_category: '' },
  ]);
});

test('web_vs_mobile', async () => {
  same(
    await ask('web_vs_mobile'),
    table(
      shop,
      (e) => e.traffic_source ?? '',
      (inside, traffic_source) => ({ traffic_source, visits: visits(inside) }),
    ),
  );
});

test('visits_by_weekday has seven days and visits_by_hour 24 hours, in order', async () => {
  const byDay = Map.groupBy(shop, (e) => new Date(e.event_time).getUTCDay() || 7);
  assert.deepEqual(
    await ask('visits_by_weekday'),
    Array.from({ length: 7 }, (_, i) => ({
      weekday: i + 1,
      visits: visits(byDay.get(i + 1) ?? []),
    })),
  );
  const byHour = Map.groupBy(shop, (e) => new Date(e.event_time).getUTCHours());
  assert.deepEqual(
    await ask('visits_by_hour'),
    Array.from({ length: 24 }, (_, hour) => ({ hour, visits: visits(byHour.get(hour) ?? []) })),
  );
  assert.equal((await ask('visits_by_hour', '', 'nobody')).length, 24);
});

test('the range takes its first instant and leaves its last; the zone moves days and hours', async () => {
  assert.equal((await ask('totals', '', 'zones'))[0]?.events, 3);
  const utc = await ask('visits_by_weekday', '', 'zones');
  assert.deepEqual(
    utc.filter((row) => row.visits > 0).map((row) => row.weekday),
    [1, 2, 7],
  );
  const berlin = await ask('visits_by_weekday', 'zone=Europe/Berlin', 'zones');
  assert.deepEqual(
    berlin.filter((row) => row.visits > 0).map((row) => row.weekday),
    [1, 2],
  );
});

test('bots are out unless asked for', async () => {
  for (const [bots, events] of [
    ['out', 1],
    ['in', 2],
    ['only', 1],
  ] as const) {
    assert.equal((await ask('totals', `bots=${bots}`, 'bots'))[0]?.events, events, bots);
  }
});

test('filters are values, whatever is in them', async () => {
  const filter = (text: string): string => `f=${encodeURIComponent(text)}`;
  const count = async (query: string, project = 'words'): Promise<number> =>
    (await ask('totals', query, project))[0]?.events ?? -1;
  assert.equal(await count(filter('search_keywords:is:it\'s 100% \\ "ünï"')), 1);
  assert.equal(await count(filter('search_keywords:contains:ÜNÏ')), 1);
  assert.equal(await count(filter('search_keywords:contains:%')), 1);
  assert.equal(await count(filter("search_keywords:is:') OR 1=1 --")), 0);
  assert.equal(await count(filter('search_keywords:is_not:=1+1')), 1);
  assert.equal(
    await count(`${filter('search_keywords:is:=1+1')}&${filter('search_keywords:is:nothing')}`),
    1,
  );
  const mobile = shop.filter((e) => e.traffic_source === 'MOBILE').length;
  assert.equal(await count(filter('traffic_source:is:MOBILE'), 'shop'), mobile);
});

test('range=all begins with the first event', async () => {
  const asked = readParams(
    'zones',
    new URLSearchParams(`range=all&to=${TO_MS}&interval=day`),
    TO_MS,
  );
  const { rows } = (await questions.answer(
    'events_over_time',
    asked,
  )) as Answer<'events_over_time'>;
  assert.equal(rows[0]?.time, '2026-11-16 00:00:00');
  assert.equal(rows.length, 8);
});

test('every SQL file says what it answers, takes, reads and costs, and every value is bound', () => {
  for (const [name, sql] of readSqlFiles()) {
    readHeader(name, sql);
    assert.match(sql, /\/\*(filter|scope)\*\//, name);
    assert.doesNotMatch(sql, /;\s*$/, name);
  }
  assert.equal([...readSqlFiles().keys()].filter((name) => !isLive(name)).length, 17);
});

test('columns come with their types, and CSV has the same cells', async () => {
  const asked = readParams('words', new URLSearchParams(RANGE), TO_MS);
  const { columns, rows } = await questions.answer('top_searches', asked);
  assert.deepEqual(
    columns.map((c) => c.name),
    ['search_keywords', 'searches', 'visitors'],
  );
  assert.match(columns[1]?.type ?? '', /UInt64/);
  assert.equal(
    toCsv(columns, rows),
    'search_keywords,searches,visitors\r\n\'=1+1,1,1\r\n"it\'s 100% \\ ""ünï""",1,1\r\n',
  );
});

test('everyone who watches shares one query a tick; the last who leaves ends it', async () => {
  let queries = 0;
  const counting: Store = {
    ...store,
    select: (sql, params, more) => {
      if (sql.includes('AS minutes')) queries++;
      return store.select(sql, params, more);
    },
  };
  let batches = 0;
  const freshness = { storedUntilMs: async () => realClock.now(), batches: () => batches };
  const live = createLive({ store: counting, clock: realClock, logger, freshness });
  const asked = readParams('live', new URLSearchParams(), realClock.now());
  const ended = Array.from({ length: 10 }, () => new AbortController());
  const heard: LiveMessage[][] = ended.map(() => []);
  for (const [i, { signal }] of ended.entries()) {
    await live.watch(asked, (message) => heard[i]?.push(message), signal);
  }
  const all = (has: (messages: LiveMessage[]) => boolean) => async (): Promise<void> => {
    while (!heard.every(has)) await realClock.sleep(5);
  };
  await all((messages) => messages.some((m) => m.event === 'snapshot'))();
  assert.equal(queries, 1);
  assert.equal(live.sources(), 1);

  const nowMs = realClock.now();
  await insert([
    asStored({
      event_name: 'HOMEPAGE',
      project_id: 'live',
      event_id: 'l1',
      session_id: 'l1',
      visitor_id: 'l1',
      event_time: nowMs,
      received_at: nowMs,
    }),
  ]);
  batches++;
  await all((messages) => messages.some((m) => m.event === 'delta'))();
  const delta = heard[0]?.find((m) => m.event === 'delta');
  assert.ok(delta?.event === 'delta' && delta.data.minutes.length === 1);
  assert.equal(queries, 2);
  // Who is there now is counted once a second, with what came meanwhile, also when nothing more does.
  await all((messages) => messages.some((m) => m.event === 'delta' && m.data.now.visitors === 1))();

  // A late event changes an old minute; the next whole look finds it.
  const lateMs = nowMs - 20 * 60_000;
  await insert([
    asStored({
      event_name: 'HOMEPAGE',
      project_id: 'live',
      event_id: 'l2',
      session_id: 'l2',
      event_time: lateMs,
      received_at: nowMs,
    }),
  ]);
  batches++;
  const minute = Math.floor(lateMs / 60_000) * 60_000;
  await all((messages) =>
    messages.some((m) => m.event === 'delta' && m.data.minutes.some((row) => row.time === minute)),
  )();

  for (const controller of ended) controller.abort();
  assert.equal(live.sources(), 0);
  const atEnd = queries;
  batches++;
  await realClock.sleep(300);
  assert.equal(queries, atEnd);
});
