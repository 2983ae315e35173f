/**
 * Answers of the API, recounted in TypeScript from the raw rows that the store holds, without a look
 * at the SQL of the questions.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Question, Rows } from '../../src/query/questions.ts';

/** A stored row, as far as it is recounted. */
export interface StoredRow {
  project_id: string;
  event_id: string;
  session_id: string;
  visitor_id: string;
  event_name: string;
  event_time_ms: number;
  sequence: number;
  path: string;
  booking_id: string;
  payment_status: string;
  value: string | null;
  traffic_source: string;
}

const ASK_AGAIN_MS = 50;
const PAGE_VIEWS = new Set(['page_view', 'HOMEPAGE', 'ITEM_DETAIL', 'PROMO_PAGE']);

const distinct = (values: readonly string[]): number => new Set(values).size;
const visits = (rows: readonly StoredRow[]): number => distinct(rows.map((row) => row.session_id));
const orders = (rows: readonly StoredRow[]): number => distinct(rows.map((row) => row.booking_id));
const isOrder = (row: StoredRow): boolean => row.event_name === 'BOOKING' && row.booking_id !== '';

/** @throws AssertionError that names the question. */
export async function recount(
  url: string,
  project: string,
  rows: readonly StoredRow[],
): Promise<void> {
  const ask = async <Q extends Question>(question: Q): Promise<Rows[Q][]> => {
    const address = `${url}/api/projects/${project}/${question}?range=24h&bots=in&limit=1000`;
    let response = await fetch(address);
    // The store may be started again just now.
    while (response.status === 503) {
      await response.arrayBuffer();
      await sleep(ASK_AGAIN_MS);
      response = await fetch(address);
    }
    const text = await response.text();
    assert.equal(response.status, 200, `${question}: ${text}`);
    return (JSON.parse(text) as Answer<Q>).rows;
  };
  const same = (question: Question, found: readonly object[], expected: readonly object[]) => {
    const sorted = (list: readonly object[]): string[] =>
      list.map((row) => JSON.stringify(row)).sort();
    assert.deepEqual(sorted(found), sorted(expected), `${question} of ${project}`);
  };

  const made = rows.filter(isOrder);
  const cents = made
    .filter((row) => row.payment_status === 'Success')
    .reduce((sum, row) => sum + Math.round(Number(row.value) * 100), 0);
  const views = rows.filter((row) => PAGE_VIEWS.has(row.event_name));
  const [totals] = await ask('totals');
  assert.ok(totals !== undefined);
  const { revenue, conversion, ...counted } = totals;
  same(
    'totals',
    [{ ...counted, cents: Math.round(Number(revenue) * 100) }],
    [
      {
        events: rows.length,
        page_views: views.length,
        visitors: distinct(rows.map((row) => row.visitor_id)),
        visits: visits(rows),
        orders: orders(made),
        cents,
      },
    ],
  );
  const share = rows.length === 0 ? 0 : visits(made) / visits(rows);
  assert.ok(Math.abs(conversion - share) < 1e-9, `conversion of ${project}`);

  const by = (list: readonly StoredRow[], key: (row: StoredRow) => string) => [
    ...Map.groupBy(list, key),
  ];
  same(
    'events_by_name',
    await ask('events_by_name'),
    by(rows, (row) => row.event_name).map(([event_name, inside]) => ({
      event_name,
      events: inside.length,
      visits: visits(inside),
    })),
  );
  same(
    'top_pages',
    await ask('top_pages'),
    by(
      views.filter((row) => row.path !== ''),
      (row) => row.path,
    ).map(([path, inside]) => ({
      path,
      views: inside.length,
      visitors: distinct(inside.map((row) => row.visitor_id)),
    })),
  );
  same('total_orders', await ask('total_orders'), [{ orders: orders(made) }]);
  same(
    'payment_status',
    await ask('payment_status'),
    by(made, (row) => row.payment_status).map(([payment_status, inside]) => ({
      payment_status,
      orders: orders(inside),
    })),
  );
  same(
    'web_vs_mobile',
    await ask('web_vs_mobile'),
    by(rows, (row) => row.traffic_source).map(([traffic_source, inside]) => ({
      traffic_source,
      visits: visits(inside),
    })),
  );
  same(
    'visits_by_hour',
    await ask('visits_by_hour'),
    Array.from({ length: 24 }, (_, hour) => ({
      hour,
      visits: visits(rows.filter((row) => new Date(row.event_time_ms).getUTCHours() === hour)),
    })),
  );
}
