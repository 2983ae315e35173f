/**
 * The bundle without a Superset: every key is one that its importer takes, every reference leads
 * somewhere, every chart's SQL runs on the engine as the reader, and the charts of the original have
 * the numbers of our questions.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { realClock } from '../src/base/clock.ts';
import { createShop } from '../src/demo/shop.ts';
import { openTestEngine, type TestEngine } from '../src/engine/test-engine.ts';
import type { Event } from '../src/event/event.ts';
import { COLUMNS, storedRow } from '../src/process/row.ts';
import { readParams } from '../src/query/params.ts';
import { createQuestions, type Questions } from '../src/query/run.ts';
import { createClickHouseStore } from '../src/store/clickhouse.ts';
import type { Store } from '../src/store/store.ts';
import { type Dashboard, type Kind, nodesOf, readKind } from './bundle.ts';
import { type Chart, chartSql, type Dataset } from './sql.ts';
import { BUNDLE } from './superset.ts';

/** What the importer of Superset 5 and 6 takes; anything else fails the import of all. */
const KEYS: Record<Kind, string> = {
  databases:
    'database_name sqlalchemy_uri cache_timeout expose_in_sqllab allow_run_async allow_ctas allow_cvas allow_dml allow_csv_upload extra uuid version',
  datasets:
    'table_name description schema main_dttm_col sql filter_select_enabled columns metrics database_uuid uuid version',
  charts: 'slice_name description viz_type params cache_timeout uuid version dataset_uuid',
  dashboards: 'dashboard_title description slug css published uuid position metadata version',
};
const COLUMN_KEYS =
  'column_name verbose_name type description expression is_dttm groupby filterable';
const METRIC_KEYS = 'metric_name verbose_name expression description d3format';
/** `uuid5` of the address below, in the namespace of addresses: RFC 9562, 5.5. */
const NAMESPACE = uuid5(
  '6ba7b811-9dad-11d1-80b4-00c04fd430c8',
  'https://clickstream.invalid/superset',
);
const FILTERS = [
  ...['event_name', 'traffic_source', 'country', 'device_type'],
  ...['visitor_kind', 'project_id'],
];
/** The window of a dashboard ends now. */
const MOVES = /^DATEADD\(DATETIME\("now"\), -\d+, (hour|day)\) : now$/;
const COLUMNS_OF_GRID = 12;
const POSITION_CHARACTERS_MAX = 65_535;

function uuid5(namespace: string, name: string): string {
  const bytes = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex', 0, 16).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}

const databases = readKind<{ uuid: string; sqlalchemy_uri: string }>('databases');
const datasets = readKind<Dataset>('datasets');
const charts = readKind<Chart>('charts');
const dashboards = readKind<Dashboard>('dashboards');
const datasetsById = new Map([...datasets.values()].map((each) => [each.uuid, each]));

const charted = (dashboard: Dashboard) =>
  nodesOf(dashboard).flatMap(({ type, meta }) => (type === 'CHART' && meta ? [meta] : []));

const columnsOf = (dataset: Dataset | undefined): string[] =>
  dataset?.columns.map(({ column_name }) => column_name) ?? [];

function datasetOf(chart: Chart): Dataset {
  const dataset = datasetsById.get(chart.dataset_uuid);
  assert.ok(dataset, `${chart.slice_name} has a dataset`);
  return dataset;
}

test('every key is one that the importer takes, and none that it needs is missing', () => {
  for (const [kind, files] of Object.entries({ databases, datasets, charts, dashboards }))
    for (const [name, file] of files)
      assert.deepEqual(
        Object.keys(file).toSorted(),
        KEYS[kind as Kind].split(' ').toSorted(),
        `${kind}/${name}`,
      );
  for (const { table_name, columns, metrics } of datasets.values()) {
    for (const column of columns)
      for (const key of Object.keys(column))
        assert.ok(COLUMN_KEYS.split(' ').includes(key), `${table_name}: ${key}`);
    for (const metric of metrics)
      for (const key of Object.keys(metric))
        assert.ok(METRIC_KEYS.split(' ').includes(key), `${table_name}: ${key}`);
  }
});

test('every file says the same to Superset, which reads an older YAML', () => {
  for (const name of readdirSync(BUNDLE, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.yaml')) continue;
    const text = readFileSync(join(BUNDLE, name), 'utf8');
    assert.deepEqual(parse(text, { version: '1.1' }), parse(text), name);
  }
});

test('every identifier is derived from the name of its file', () => {
  for (const [kind, files] of Object.entries({ databases, datasets, charts, dashboards }))
    for (const [name, { uuid }] of files)
      assert.equal(uuid, uuid5(NAMESPACE, `${kind}/${name}`), `${kind}/${name}`);
});

test('charts and datasets have the names of their files, and no file has a password', () => {
  for (const [name, { slice_name }] of charts) assert.equal(slice_name, name);
  for (const [name, { table_name }] of datasets) assert.equal(table_name, name);
  for (const [name, { slug }] of dashboards) assert.equal(slug, name);
  for (const { sqlalchemy_uri } of databases.values()) assert.match(sqlalchemy_uri, /:XXXXXXXXXX@/);
});

test('every chart has a dataset with its columns, and is on one dashboard', () => {
  const placed = [...dashboards.values()].flatMap(charted).map(({ sliceName }) => sliceName);
  assert.deepEqual(placed.toSorted(), [...charts.keys()].toSorted());
  for (const dataset of datasets.values())
    assert.equal(dataset.database_uuid, databases.get('Clickstream')?.uuid);
  // Throws for a column or a metric that the dataset does not have.
  for (const chart of charts.values()) chartSql(chart, datasetOf(chart), 0, 1);
});

test('every node of a dashboard is reached once, and no row is wider than the grid', () => {
  for (const dashboard of dashboards.values()) {
    const nodes = new Map(nodesOf(dashboard).map((node) => [node.id, node]));
    const children = [...nodes.values()].flatMap((node) => node.children ?? []);
    assert.equal(new Set(children).size, children.length);
    for (const { id, type, parents = [] } of nodes.values()) {
      if (type === 'ROOT' || type === 'HEADER') continue;
      assert.ok(children.includes(id), id);
      assert.ok(nodes.get(parents.at(-1) ?? '')?.children?.includes(id), id);
    }
    for (const row of nodes.values()) {
      const widths = (row.children ?? []).map((id) => nodes.get(id)?.meta?.width ?? 0);
      if (row.type === 'ROW')
        assert.equal(
          widths.reduce((sum, width) => sum + width, 0),
          COLUMNS_OF_GRID,
          row.id,
        );
    }
    for (const { uuid, sliceName, sliceNameOverride } of charted(dashboard)) {
      assert.equal(uuid, charts.get(sliceName)?.uuid);
      assert.match(sliceNameOverride, /^[A-Z]/);
    }
    const ids = charted(dashboard).map(({ chartId }) => chartId);
    assert.deepEqual(dashboard.metadata.global_chart_configuration.chartsInScope, ids);
    assert.ok(JSON.stringify(dashboard.position).length <= POSITION_CHARACTERS_MAX);
  }
  const all = [...dashboards.values()].flatMap(charted).map(({ chartId }) => chartId);
  assert.equal(new Set(all).size, all.length);
});

test('every dashboard refreshes itself, of a window of time that moves', () => {
  for (const { metadata } of dashboards.values()) {
    assert.ok(metadata.refresh_frequency >= 10);
    assert.equal(metadata.stagger_refresh, false);
    assert.deepEqual(metadata.timed_refresh_immune_slices, []);
    const [time] = metadata.native_filter_configuration;
    assert.equal(time?.filterType, 'filter_time');
    assert.match(time.defaultDataMask.extraFormData.time_range ?? '', MOVES);
  }
  for (const { slice_name, params } of charts.values()) {
    const times = params.adhoc_filters.flatMap(({ comparator }) => comparator ?? []);
    assert.equal(times.length, 1, slice_name);
    assert.match(times[0] ?? '', MOVES, slice_name);
  }
});

test('every filter is of a column that all its charts have, and bots are out', () => {
  for (const dashboard of dashboards.values()) {
    const placed = charted(dashboard);
    const [, ...others] = dashboard.metadata.native_filter_configuration;
    for (const { targets, scope } of others) {
      const [{ column, datasetUuid } = {}] = targets;
      const name = column?.name ?? '';
      assert.ok(columnsOf(datasetsById.get(datasetUuid ?? '')).includes(name), name);
      for (const id of scope.excluded) assert.ok(placed.some(({ chartId }) => chartId === id));
      for (const { chartId, sliceName } of placed) {
        const has = columnsOf(datasetsById.get(charts.get(sliceName)?.dataset_uuid ?? ''));
        const isExcluded = scope.excluded.includes(chartId);
        assert.equal(has.includes(name), !isExcluded, `${sliceName}: ${name}`);
      }
    }
    const names = others.map(({ targets }) => targets[0]?.column?.name);
    if (dashboard.slug === 'pipeline') assert.deepEqual(names, ['project_id']);
    else assert.deepEqual(names, FILTERS);
    for (const { targets, defaultDataMask } of others)
      assert.deepEqual(
        defaultDataMask.extraFormData.filters,
        targets[0]?.column?.name === 'visitor_kind'
          ? [{ col: 'visitor_kind', op: 'IN', val: ['people'] }]
          : undefined,
      );
  }
});

test('every axis has its name and begins at zero, and no table takes what visitors wrote for HTML', () => {
  for (const { slice_name, viz_type, params } of charts.values()) {
    assert.equal(params.viz_type, viz_type, slice_name);
    if (viz_type === 'table') assert.equal(params.allow_render_html, false, slice_name);
    if (params.x_axis === undefined) continue;
    assert.deepEqual(params.y_axis_bounds, [0, null], slice_name);
    assert.equal(params.truncateYAxis, false, slice_name);
    assert.match(params.y_axis_title ?? '', /^[A-Z]/, slice_name);
    // Bars that lie have their names beside them, and these say what they are.
    if (params.orientation !== 'horizontal') assert.match(params.x_axis_title ?? '', /^[A-Z]/);
  }
});

describe('on the engine, as the reader', () => {
  const TO_MS = Date.UTC(2026, 10, 24);
  const FROM_MS = TO_MS - 7 * 86_400_000;
  let tested: TestEngine;
  let store: Store;
  let questions: Questions;

  before(async () => {
    tested = await openTestEngine();
    const { name: user, password } = tested.engine.owner;
    const { url } = tested.engine;
    store = createClickHouseStore({ url, user, password, database: 'clickstream' });
    await store.migrate();
    questions = createQuestions({ store, clock: realClock, freshness: undefined });
    const sent = createShop({ seed: 7 }).history(FROM_MS, TO_MS, 6_000);
    const rows = [...sent].map((each, log_offset) => {
      const place = { log_id: 1, log_partition: 0, log_offset, batch_id: 1, owner: 0 };
      return storedRow({ event: stored(each, log_offset), propertiesText: '' }, place);
    });
    await store.insert('records', COLUMNS, rows);
    const at = '2026-11-23 12:00:00.000';
    await store.insert(
      'records',
      ['outcome', 'project_id', 'received_at', 'reason', 'field', 'log_id', 'log_offset', 'owner'],
      [['rejected', 'shop', at, 'bad_format', 'event_time', 1, rows.length, 0]],
    );
    const columns = ['at', 'log_id', 'accepted', 'waiting', 'behind_seconds'];
    await store.insert('lag', columns, [[at, 1, 6_000, 2, 0.5]]);
  });
  after(async () => {
    await store.close();
    await tested.close();
  });

  function stored(sent: Partial<Event> & { event_name: string }, number: number): Event {
    const path = sent.url === undefined ? {} : { path: new URL(sent.url).pathname };
    const needed = { v: 1 as const, project_id: 'shop', session_id: '', visitor_id: '' };
    const times = { event_time: TO_MS - 1, received_at: TO_MS - 1 };
    const bot = number < 500 ? { bot: 'crawler' } : {};
    return { ...needed, ...times, event_id: String(number), ...path, ...bot, ...sent };
  }

  async function rowsOf(chart: Chart, where = ''): Promise<Record<string, unknown>[]> {
    const sql = chartSql(chart, datasetOf(chart), FROM_MS, TO_MS, where);
    const answer = await tested.ask('reader', `${sql} FORMAT JSONEachRow`, {
      query: 'database=clickstream',
    });
    assert.equal(answer.status, 200, `${chart.slice_name}: ${answer.text}\n${sql}`);
    return answer.text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  test('the SQL of every chart runs, with every filter of its dashboard', async () => {
    for (const dashboard of dashboards.values())
      for (const { sliceName } of charted(dashboard)) {
        const chart = charts.get(sliceName);
        assert.ok(chart);
        const columns = dashboard.metadata.native_filter_configuration
          .flatMap(({ targets }) => targets[0]?.column?.name ?? [])
          .filter((name) => datasetOf(chart).columns.some((each) => each.column_name === name));
        const where = columns.map((name) => `${expressionOf(chart, name)} != 'none'`).join(' AND ');
        const rows = await rowsOf(chart, where);
        assert.ok(rows.length > 0, sliceName);
      }
  });

  function expressionOf(chart: Chart, name: string): string {
    const column = datasetOf(chart).columns.find((each) => each.column_name === name);
    return column?.expression ?? name;
  }

  test('the charts of the shop have the numbers of the questions of their names', async () => {
    const shop = dashboards.get('shop');
    assert.ok(shop);
    const names = charted(shop).map(({ sliceName }) => sliceName);
    assert.equal(names.length, 11);
    for (const name of names) {
      const chart = charts.get(name);
      assert.ok(chart);
      const query = new URLSearchParams(`from=${FROM_MS}&to=${TO_MS}&interval=day&limit=1000`);
      const asked = readParams('shop', query, TO_MS);
      const { rows } = await questions.answer(name, asked);
      const found = await rowsOf(chart, `${expressionOf(chart, 'visitor_kind')} = 'people'`);
      assert.ok(found.length > 0, name);
      assert.deepEqual(plain(found), plain(rows), name);
    }
  });

  test('no bot is counted as a person', async () => {
    const chart = charts.get('visits_over_time');
    assert.ok(chart);
    const [people, all] = await Promise.all([
      rowsOf(chart, `${expressionOf(chart, 'visitor_kind')} = 'people'`),
      rowsOf(chart),
    ]);
    assert.notDeepEqual(plain(people), plain(all));
  });

  test('the funnel has all its steps in order, those that nobody has reached too', async () => {
    const funnel = charts.get('funnel');
    assert.ok(funnel);
    const steps = async (where: string) =>
      Object.fromEntries(
        (await rowsOf(funnel, where)).map(({ answer_0, answer_1 }) => [answer_0, Number(answer_1)]),
      );
    const all = await steps("project_id = 'shop'");
    const names = ['1 View', '2 Cart', '3 Booking', '4 Paid'];
    assert.deepEqual(Object.keys(all).toSorted(), names);
    const counts = names.map((name) => all[name] ?? 0);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => b - a),
    );
    assert.ok(counts.every((count) => count > 0));
    const carts = await steps("event_name = 'ADD_TO_CART'");
    assert.deepEqual([carts['3 Booking'], carts['4 Paid']], [0, 0]);
  });

  test('where there is no event there is no freshness, instead of that of 1970', async () => {
    const freshness = charts.get('freshness');
    assert.ok(freshness);
    assert.deepEqual(await rowsOf(freshness, "project_id = 'none'"), [{ answer_0: null }]);
  });

  test('no move of the flow leads back, and none goes from a step to the same', async () => {
    const flow = charts.get('flow');
    assert.ok(flow);
    for (const { answer_0, answer_1 } of await rowsOf(flow)) {
      const [from, source] = String(answer_0).split(' ');
      const [to, target] = String(answer_1).split(' ');
      assert.equal(Number(to), Number(from) + 1);
      assert.notEqual(source, target);
    }
  });

  const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

  /** Rows as texts, in one order: names without what only sorts them, and none that counts nothing. */
  function plain(rows: readonly object[]): string[] {
    return rows
      .map((row) => Object.values(row).map(String))
      .filter((row) => row.at(-1) !== '0')
      .map((row) => {
        const names = row.slice(0, -1).flatMap((name) => name.split(': '));
        return [...names.map(plainName).toSorted(), row.at(-1)].join(' | ');
      })
      .toSorted();
  }

  /** A day as its number, an hour as a number. */
  function plainName(name: string): string {
    const day = DAYS.indexOf(name.replaceAll('\u200b', ''));
    return day === -1 ? name.replace(/^0(\d)$/, '$1') : String(day + 1);
  }
});
