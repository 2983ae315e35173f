/**
 * The dashboards in a real Superset, as people see them in a browser: every chart answers and is
 * drawn, they refresh themselves, many viewers cost the store no more than one, and what SQL Lab may
 * not do is refused.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { type Dashboard, nodesOf, readKind } from '../../superset/bundle.ts';
import { whyNoSuperset } from '../../superset/python.ts';
import { BUNDLE } from '../../superset/superset.ts';
import { zipOf } from '../../superset/zip.ts';
import { launchBrowser } from '../browser.ts';
import { removeFolder, temporaryFolder } from '../system.ts';
import { type Api, openApi } from './api.ts';
import { type SupersetStage, startSupersetStage } from './stage.ts';
import { answersOf, chartNames, chartsOn, logIn } from './viewer.ts';

const skip = (await whyNoSuperset()) ?? false;
const TIMEOUT_MS = 900_000;
const SHOTS = join(import.meta.dirname, '..', '..', 'test-output', 'superset');
const DASHBOARDS = ['shop', 'live', 'pipeline'] as const;
const WIDTHS = [1_500, 900];
const VIEWERS = 50;
/** So long an answer is good for: superset_config.py. */
const REFRESH_MS = 10_000;
/** What a chart is drawn as. */
const DRAWN = '.slice_container :is(canvas, table, .header-line)';

describe('a real Superset', { skip, timeout: TIMEOUT_MS }, () => {
  let s: SupersetStage;
  let browser: Browser;
  let api: Api;
  /** Names by Superset's own numbers, of all charts. */
  let names: Map<number, string>;

  before(
    async () => {
      await mkdir(SHOTS, { recursive: true });
      s = await startSupersetStage((text) => process.stderr.write(`superset: ${text}\n`));
      browser = await launchBrowser();
      api = await openApi(s.superset);
      names = await chartNames(api);
    },
    { timeout: TIMEOUT_MS },
  );
  after(async () => {
    await browser?.close();
    await s?.close();
  });

  async function charts(): Promise<{ id: number; slice_name: string; params: string }[]> {
    const q = '(page_size:100,order_column:slice_name,order_direction:asc)';
    return (await api.get<{ result: [] }>(`chart/?q=${q}`)).result;
  }

  const placed = (slug: string) => chartsOn(api, slug);

  /** What its page asks for, one request a chart; nothing of the page is under way any more. */
  async function requestsOf(slug: string) {
    const page = await logIn(browser, s.superset, WIDTHS[0] ?? 0);
    const answering = answersOf(page, names, await placed(slug));
    await page.goto(`${s.superset.url}/superset/dashboard/${slug}/`);
    const requests = new Map((await answering).map(({ chart, request }) => [chart, request]));
    // The filters ask for what there is to choose.
    await page.waitForLoadState('networkidle');
    await page.close();
    return [...requests.values()];
  }

  function titles(slug: string): string[] {
    const dashboard = readKind<Dashboard>('dashboards').get(slug);
    assert.ok(dashboard, slug);
    return nodesOf(dashboard).flatMap(({ meta }) => meta?.sliceNameOverride ?? []);
  }

  /** What is imported. */
  async function summary() {
    return {
      charts: (await charts()).map(({ id, slice_name, params }) => ({ id, slice_name, params })),
      dashboards: await Promise.all(
        DASHBOARDS.map(async (slug) => {
          const { result } = await api.get<{
            result: { id: number; position_json: string; json_metadata: string };
          }>(`dashboard/${slug}`);
          const { id, position_json, json_metadata } = result;
          return { id, position: JSON.parse(position_json), metadata: JSON.parse(json_metadata) };
        }),
      ),
    };
  }

  test('the dashboards imported twice are the same', async () => {
    const first = await summary();
    await s.importAgain();
    api = await openApi(s.superset);
    assert.deepEqual(await summary(), first);
  });

  test('the dashboards imported as a zip are the same', async (t) => {
    const first = await summary();
    const folder = await temporaryFolder('bundle');
    t.after(() => removeFolder(folder));
    await cp(BUNDLE, folder, { recursive: true });
    const path = 'databases/Clickstream.yaml';
    const described = await readFile(join(folder, path), 'utf8');
    const { host, port, password } = s.database;
    await writeFile(join(folder, path), described.replace('127.0.0.1:8123', `${host}:${port}`));
    const zip = new Blob([new Uint8Array(await zipOf(folder))]);
    // All assets, and what the page of dashboards does.
    for (const [to, field] of [
      ['assets/import/', 'bundle'],
      ['dashboard/import/', 'formData'],
    ] as const) {
      const form = new FormData();
      form.set(field, zip, 'clickstream.zip');
      form.set('passwords', JSON.stringify({ [path]: password }));
      form.set('overwrite', 'true');
      const { status, text } = await api.post(to, form);
      assert.equal(status, 200, `${to}: ${text}`);
    }
    assert.deepEqual(await summary(), first);
  });

  for (const width of WIDTHS)
    test(`every chart of every dashboard is drawn in a window of ${width} px`, async () => {
      const page = await logIn(browser, s.superset, width);
      for (const slug of DASHBOARDS) {
        const expected = await placed(slug);
        const answering = answersOf(page, names, expected);
        await page.goto(`${s.superset.url}/superset/dashboard/${slug}/`);
        for (const { chart, status, rows } of await answering) {
          assert.equal(status, 200, chart);
          assert.ok(rows.length > 0, `${slug}: ${chart} has rows`);
          // The first one names a bar, a step, a page. Series that have nothing there are null.
          for (const [name] of rows.map((row) => Object.values(row)))
            assert.ok(name !== null && name !== '', `${slug}: every mark of ${chart} has a name`);
        }
        await page
          .locator(DRAWN)
          .nth(expected.length - 1)
          .waitFor();
        await page.locator('.loading').first().waitFor({ state: 'detached' });
        assert.equal(await page.locator('.ant-alert-error, [data-test="error-alert"]').count(), 0);
        const seen = await page.locator('.header-title').allInnerTexts();
        assert.deepEqual(seen.map((text) => text.trim()).toSorted(), titles(slug).toSorted());
        for (const title of await page.locator('.header-title').all())
          assert.ok(await title.evaluate((e) => e.scrollHeight <= e.clientHeight + 1), 'whole');
        await page.screenshot({ path: join(SHOTS, `${slug}-${width}.png`) });
      }
      await page.close();
    });

  test('a dashboard asks for all its charts again by itself', async () => {
    const page = await logIn(browser, s.superset, WIDTHS[0] ?? 0);
    const again = answersOf(page, names, await placed('live'), 3);
    await page.goto(`${s.superset.url}/superset/dashboard/live/`);
    for (const { chart, status } of await again) assert.equal(status, 200, chart);
    await page.close();
  });

  test(`${VIEWERS} viewers who refresh at the same moment cost the store one query a chart and refresh`, async (t) => {
    const requests = await requestsOf('live');
    const before = s.asked();
    const startMs = performance.now();
    const answers = await Promise.all(
      Array.from({ length: VIEWERS }, () => requests)
        .flat()
        .map(({ path, body }) => api.post(path, body)),
    );
    for (const { status, text } of answers) assert.equal(status, 200, text);
    const asked = s.asked() - before;
    const refreshes = 2 + Math.floor((performance.now() - startMs) / REFRESH_MS);
    t.diagnostic(
      `${answers.length} answers to ${VIEWERS} viewers within ${refreshes} refreshes, ${asked} queries`,
    );
    assert.ok(
      asked <= refreshes * requests.length,
      `${asked} queries of ${requests.length} charts`,
    );
  });

  test('a chart does not ask the store who it is, again and again', async () => {
    const requests = await requestsOf('live');
    const before = s.requests();
    for (const { path, body } of requests) {
      const { status, text } = await api.post(path, { ...body, force: true });
      assert.equal(status, 200, text);
    }
    assert.equal(s.requests() - before, requests.length);
  });

  test('what a reader may not do is refused in SQL Lab, in a sentence', async () => {
    const { result } = await api.get<{ result: { id: number }[] }>('database/');
    const run = (sql: string) =>
      api.post('sqllab/execute/', {
        ...{
          database_id: result[0]?.id,
          sql,
          schema: 'clickstream',
          runAsync: false,
          queryLimit: 10,
        },
        ...{ client_id: Math.random().toString(36).slice(2, 12), select_as_cta: false },
      });
    const good = await run('SELECT event_name, count() AS events FROM events GROUP BY event_name');
    assert.equal(good.status, 200, good.text);
    const refused: [sql: string, why: RegExp][] = [
      ["SELECT * FROM file('/etc/passwd')", /function file is not allowed for this user/],
      ["SELECT * FROM url('http://127.0.0.1/', 'CSV', 'a String')", /function url is not allowed/],
      // These two Superset does not even send.
      ["SELECT 1 INTO OUTFILE 'x'", /Error parsing near/],
      ['SELECT 1 SETTINGS max_execution_time = 0', /Error parsing near/],
      ['SELECT 1; DROP TABLE records', /does not allow for DDL\/DML/],
      ['INSERT INTO records (event_id) VALUES (1)', /does not allow for DDL\/DML/],
      ['DROP TABLE records', /does not allow for DDL\/DML/],
    ];
    for (const [sql, why] of refused) {
      const { status, text } = await run(sql);
      assert.ok(status >= 400, `${sql}: ${status}`);
      assert.match(text, why);
    }
  });
});
