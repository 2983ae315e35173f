/**
 * The page in a real browser: it shows what the API says, says how old it is, can be read by
 * everyone, and moves when somebody clicks in the shop.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../../test/browser.ts';
import {
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
} from '../../test/system.ts';
import { realClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { fillHistory } from '../demo/traffic.ts';
import type { PipelineAnswer, Spark, Spool } from '../process/pipeline/answer.ts';

const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36';
const SCREENSHOTS = 'test-output';
const TITLES: Record<string, string> = {
  total_orders: 'Total orders',
  ordering_customers: 'Total ordering customers',
  payment_status: 'Payment success and failure',
  payment_status_by_method: 'Payment status by payment method',
  orders_by_gender_and_category: 'Orders by gender and category',
  orders_by_category: 'Orders by category',
  web_vs_mobile: 'Web and mobile',
  visits_by_weekday: 'Visits by day of the week',
  visits_by_hour: 'Visits by hour of the day',
  visits_over_time: 'Visits over time',
  cart_additions_by_category: 'Cart additions by category',
};

let system: SystemProcess;
let data: string;
let browser: Browser;

before(async () => {
  data = await temporaryFolder('dashboard');
  system = await startSystem(data);
  await fillHistory(
    {
      url: system.url,
      key: 'shop-dev-key',
      clock: realClock,
      logger: createLogger('silent'),
      signal: new AbortController().signal,
    },
    7,
    6_000,
  );
  browser = await launchBrowser();
  await mkdir(SCREENSHOTS, { recursive: true });
});

after(async () => {
  await browser.close();
  await system.stop();
  await removeFolder(data);
});

interface Look {
  width?: number;
  scheme?: 'light' | 'dark';
  path?: string;
}

/** A page of its own, and everything it complained about. */
async function open({ width = 1280, scheme = 'light', path = '/' }: Look = {}) {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: scheme,
    timezoneId: 'UTC',
    locale: 'en-GB',
    // Headless Chromium says so and is flagged as a bot, which the dashboard leaves out.
    userAgent: USER_AGENT,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(system.url + path);
  return { page, complaints, close: () => context.close() };
}

/** Scrolls through the page, so that every chart is asked for, and waits until all are drawn. */
async function drawAll(page: Page): Promise<void> {
  for (const cell of await page.locator('[data-question]').all())
    await cell.scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0);
  await page.evaluate(() => window.scrollTo(0, 0));
}

async function rowsOf(question: string): Promise<Record<string, string | number>[]> {
  const answer = await fetch(`${system.url}/api/projects/shop/${question}?range=7d&limit=1000`);
  return ((await answer.json()) as { rows: Record<string, string | number>[] }).rows;
}

test('each of the eleven charts shows the numbers of its question', async () => {
  const { page, complaints, close } = await open();
  await drawAll(page);
  for (const [question, title] of Object.entries(TITLES)) {
    const cell = page.locator(`[data-question=${question}]`);
    assert.equal(await cell.locator('h3').textContent(), title);
    const rows = await rowsOf(question);
    if (question === 'total_orders' || question === 'ordering_customers') {
      const [value] = Object.values(rows[0] ?? {});
      const shown = await cell.locator('.big-number').textContent();
      assert.equal(shown?.replaceAll(',', ''), String(value));
      continue;
    }
    // The table holds every number of the chart in the same order.
    await cell.getByRole('button', { name: 'Table' }).click();
    const shown = await cell.locator('tbody tr').allTextContents();
    const expected = rows.slice(0, 50).map((row) =>
      Object.values(row)
        .map((v) => (typeof v === 'number' ? v.toLocaleString('en-GB') : v))
        .join(''),
    );
    assert.deepEqual(shown, expected, question);
    await cell.getByRole('button', { name: 'Table' }).click();
  }
  assert.deepEqual(complaints, []);
  await close();
});

test('a click in the shop moves the number on the dashboard', async () => {
  const dashboard = await open();
  const events = dashboard.page.getByTestId('live-events');
  await dashboard.page.waitForFunction(() =>
    document.querySelector('[data-testid=live-state]')?.textContent?.startsWith('Live'),
  );
  const before = Number((await events.textContent())?.replaceAll(',', ''));
  const shop = await open({ path: '/demo' });
  await shop.page.getByText('Running shoes').click();
  await shop.page.getByRole('button', { name: 'Add to cart' }).click();
  // HOMEPAGE, ITEM_DETAIL and ADD_TO_CART.
  await dashboard.page.waitForFunction(
    (wanted) =>
      Number(
        document.querySelector('[data-testid=live-events]')?.textContent?.replaceAll(',', ''),
      ) >= wanted,
    before + 3,
  );
  await dashboard.page.locator('.feed', { hasText: 'ADD_TO_CART' }).waitFor();
  assert.deepEqual([...dashboard.complaints, ...shop.complaints], []);
  await shop.close();
  await dashboard.close();
});

/** Texts that do not fit into their element, and whether the page is wider than the window. */
async function cutOf(page: Page): Promise<{ cut: (string | null)[]; isWide: boolean }> {
  return page.evaluate(() => ({
    cut: [...document.querySelectorAll('h1, h2, h3, .value, .name, .big-number, .term, button')]
      .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
      .map((element) => element.textContent),
    isWide: document.documentElement.scrollWidth > window.innerWidth,
  }));
}

test('no title or value is cut off and nothing is wider than the window', async () => {
  for (const width of [1500, 900, 390]) {
    const { page, close } = await open({ width });
    await drawAll(page);
    assert.deepEqual({ width, ...(await cutOf(page)) }, { width, cut: [], isWide: false });
    await close();
  }
});

/** What axe finds on the page as it is now; a picture of it is kept. */
async function violationsOf(page: Page, picture: string): Promise<string[]> {
  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.screenshot({ path: `${SCREENSHOTS}/${picture}.png`, fullPage: true });
  // In a world of its own, where the page's content policy does not reach.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const runner = (
      window as unknown as {
        axe: {
          run(
            options: object,
          ): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
        };
      }
    ).axe;
    const result = await runner.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] });
    return result.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)}`);
  });
}

test('everyone can read it: no violation of WCAG 2.2 AA, in both themes and two widths', async () => {
  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [1280, 390]) {
      const { page, close } = await open({ scheme, width });
      await drawAll(page);
      const violations = await violationsOf(page, `dashboard-${scheme}-${width}`);
      assert.deepEqual({ scheme, width, violations }, { scheme, width, violations: [] });
      await close();
    }
  }
});

test('the live state says when the numbers are held, old, or coming again', async () => {
  const { page, close } = await open();
  const state = page.getByTestId('live-state');
  const becomes = (words: RegExp): Promise<void> =>
    page
      .waitForFunction(
        (source) =>
          new RegExp(source).test(
            document.querySelector('[data-testid=live-state]')?.textContent ?? '',
          ),
        words.source,
      )
      .then(() => undefined);
  await becomes(/^Live · \d+\.\d s behind$/);
  await page.getByRole('button', { name: 'Pause' }).click();
  assert.equal(await state.textContent(), 'Paused');
  await page.getByRole('button', { name: 'Resume' }).click();
  await becomes(/^Live/);
  await page.route('**/live*', (route) => route.abort());
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume' }).click();
  await becomes(/^Reconnecting/);
  await close();
});

test('a row of a ranking filters the page, the address keeps it, Back undoes it', async () => {
  const { page, close } = await open();
  await drawAll(page);
  const row = page.locator('[data-question=events_by_name] li button').first();
  const name = (await row.locator('.name').textContent()) ?? '';
  await row.click();
  await page.locator('.chips', { hasText: name }).waitFor();
  assert.match(page.url(), new RegExp(`f=event_name%3Ais%3A${name}`));
  await page.waitForFunction(
    () => document.querySelectorAll('[data-question=events_by_name] li').length === 1,
  );
  await page.goBack();
  await page.locator('.chips').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: '24 hours' }).click();
  assert.match(page.url(), /range=24h/);
  await page.getByRole('heading', { name: 'Last 24 hours' }).waitFor();
  await close();
});

test('a filter is turned around in its chip', async () => {
  const { page, close } = await open({ path: '/?f=event_name%3Ais%3ACLICK' });
  await drawAll(page);
  const events = page.locator('[data-question=events_by_name] li');
  assert.deepEqual(await events.locator('.name').allTextContents(), ['CLICK']);
  await page.locator('.chips').getByRole('button', { name: 'is', exact: true }).click();
  await page.waitForFunction(
    () => document.querySelectorAll('[data-question=events_by_name] li').length > 1,
  );
  assert.ok(!(await events.locator('.name').allTextContents()).includes('CLICK'));
  assert.match(page.url(), /f=event_name%3Ais_not%3ACLICK/);
  await close();
});

test('totals are compared with the same time before', async () => {
  const { page, close } = await open({ path: '/?range=24h' });
  const before = page.waitForResponse((response) => /totals\?from=/.test(response.url()));
  const was = ((await (await before).json()) as { rows: { events: number }[] }).rows[0]?.events;
  const card = page.locator('.card', { has: page.getByTestId('totals-Events') });
  const change = (await card.locator('.change').textContent()) ?? '';
  const now = Number((await page.getByTestId('totals-Events').textContent())?.replaceAll(',', ''));
  assert.ok(was !== undefined && was > 0);
  assert.equal(
    change,
    `${now < was ? '-' : '+'}${((Math.abs(now - was) / was) * 100).toFixed(1)}%`,
  );
  await close();
});

test('the marks of a chart are reached by keyboard', async () => {
  const { page, close } = await open();
  await drawAll(page);
  const bars = page.locator('[data-question=visits_by_weekday]');
  await bars.locator('svg').focus();
  await page.keyboard.press('ArrowLeft');
  const rows = await rowsOf('visits_by_weekday');
  const visits = rows.at(-1)?.visits?.toLocaleString('en-GB');
  assert.equal(await bars.locator('.tip').textContent(), `Sun${visits} visits`);
  await page.keyboard.press('Escape');
  await bars.locator('.tip').waitFor({ state: 'detached' });
  const line = page.locator('[data-question=visits_over_time]');
  await line.locator('svg').focus();
  await page.keyboard.press('Home');
  const first = (await rowsOf('visits_over_time'))[0]?.visits?.toLocaleString('en-GB');
  assert.ok((await line.locator('.tip').textContent())?.startsWith(`${first} visits`));
  await close();
});

test('a question that fails says so in its own panel, and can be asked again', async () => {
  const { page, close } = await open({ path: '/icon.svg' });
  await page.route('**/top_pages?*', (route) => route.abort());
  await page.goto(`${system.url}/?range=24h`);
  const panel = page.locator('[data-question=top_pages]');
  await panel.scrollIntoViewIfNeeded();
  await panel.getByText('The server cannot be reached.').waitFor();
  await page.locator('[data-question=top_searches] li').first().waitFor();
  await page.unroute('**/top_pages?*');
  await panel.getByRole('button', { name: 'Try again' }).click();
  await panel.locator('li').first().waitFor();
  // With an answer there, it stays, with a word that it is old.
  await page.route('**/top_pages?*', (route) => route.abort());
  await panel.getByText('Not refreshed').waitFor();
  assert.ok((await panel.locator('li').count()) > 0);
  await close();
});

test('a stream that is refused is opened again', async () => {
  const { page, close } = await open({ path: '/icon.svg' });
  let refused = 0;
  await page.route('**/live*', (route) =>
    refused++ === 0 ? route.fulfill({ status: 503, body: '' }) : route.continue(),
  );
  await page.goto(system.url);
  await page.waitForFunction(() =>
    document.querySelector('[data-testid=live-state]')?.textContent?.startsWith('Live'),
  );
  assert.equal(refused, 2);
  await close();
});

test('a hidden tab asks for nothing and begins with a snapshot when it is seen again', async () => {
  const { page, close } = await open({ path: '/?range=15m' });
  const state = page.getByTestId('live-state');
  await state.getByText('Live').waitFor();
  const setHidden = (isHidden: boolean) =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { value, configurable: true });
      const visibilityState = value ? 'hidden' : 'visible';
      Object.defineProperty(document, 'visibilityState', {
        value: visibilityState,
        configurable: true,
      });
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
    }, isHidden);
  await page.waitForLoadState('load');
  await setHidden(true);
  await state.getByText('Connecting').waitFor();
  const asked: string[] = [];
  page.on('request', (request) =>
    asked.push(new URL(request.url()).pathname.split('/').at(-1) ?? ''),
  );
  // Three times as long as a range of 15 minutes waits before it is asked again.
  await state.getByText('6 s old').waitFor();
  assert.equal(asked.join(), '');
  await setHidden(false);
  await state.getByText('Live').waitFor();
  assert.ok(asked.includes('live'));
  await close();
});

test('an installation without events says how to send the first', async () => {
  for (const path of ['/?project=empty', '/?project=empty&range=all']) {
    const { page, complaints, close } = await open({ path });
    await page.getByRole('heading', { name: 'Waiting for the first event' }).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  }
  const { page, close } = await open();
  await page.getByTestId('totals-Events').getByText(/\d/).waitFor();
  assert.equal(await page.getByText('Waiting for the first event').count(), 0);
  await close();
});

async function sumOf(query = ''): Promise<PipelineAnswer> {
  return (await fetch(`${system.url}/api/pipeline${query}`)).json() as Promise<PipelineAnswer>;
}

const OUTCOMES = ['stored', 'duplicate', 'rejected', 'removed', 'waiting'] as const;
const lineOf = ({ total }: PipelineAnswer): string => {
  const terms = OUTCOMES.map((name) => `${total[name].toLocaleString('en-GB')} ${name}`);
  return `${total.accepted.toLocaleString('en-GB')} accepted = ${terms.join(' + ')}`;
};

async function sendToShop(events: readonly object[]): Promise<void> {
  const response = await fetch(`${system.url}/v1/events?key=shop-dev-key`, {
    method: 'POST',
    body: JSON.stringify(events),
  });
  await response.text();
}

test('the pipeline page has the sum, says that it closes, and goes on by itself', async () => {
  await sendToShop([
    ...[1, 1, 2].map((id) => ({ event_name: 'SUM', event_id: `sum-${id}` })),
    { event_name: 'SUM', quantity: 'many' },
  ]);
  const { page, complaints, close } = await open();
  await page.getByRole('link', { name: 'Pipeline' }).click();
  await page.waitForURL('**/pipeline');
  assert.equal(await page.title(), 'Pipeline · Clickstream');
  const line = page.getByTestId('sum');
  const isShown = async (sum: PipelineAnswer) =>
    page.waitForFunction(
      (words) =>
        document.querySelector('[data-testid=sum]')?.textContent?.trim().replaceAll(/\s+/g, ' ') ===
        words,
      lineOf(sum),
    );
  await line.waitFor();
  let sum = await sumOf();
  while (sum.total.waiting > 0) sum = await sumOf();
  await isShown(sum);
  assert.match((await page.getByTestId('sum-mark').textContent()) ?? '', /^✓ The sum closes/);
  assert.equal(
    await page.getByTestId('stage-log').textContent(),
    sum.total.accepted.toLocaleString('en-GB'),
  );
  const rejected = page.locator('figure', { hasText: 'Rejected, by reason and field' });
  const row = rejected.locator('tr', { hasText: 'quantity' });
  assert.equal(await row.textContent(), 'bad_formatquantityshop11');
  const partition = page.locator('figure', { hasText: 'Partitions of the log' });
  const end = sum.total.accepted.toLocaleString('en-GB');
  assert.equal(await partition.locator('tbody tr').textContent(), `1 (current)00–0${end}${end}`);

  // Nobody touches the page.
  await sendToShop([{ event_name: 'SUM', event_id: 'sum-3' }]);
  const { accepted, stored } = sum.total;
  await isShown({ ...sum, total: { ...sum.total, accepted: accepted + 1, stored: stored + 1 } });

  await page.getByRole('combobox', { name: 'Project' }).selectOption('self-check');
  await page.waitForURL('**/pipeline?project=self-check');
  await isShown(await sumOf('?project=self-check'));
  await page.getByRole('link', { name: 'Overview' }).click();
  await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
  await page.goBack();
  await line.waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

/** The page with an answer of our own. */
async function openPipeline(answer: PipelineAnswer | undefined, look: Look = {}) {
  const opened = await open({ ...look, path: '/icon.svg' });
  await opened.page.route('**/api/pipeline*', (route) =>
    answer === undefined ? route.abort() : route.fulfill({ json: answer }),
  );
  await opened.page.goto(`${system.url}/pipeline`);
  return opened;
}

test('a sum that does not close says by how much and where', async () => {
  const sum = await sumOf();
  const minute = sum.minutes.at(-2);
  const [partition] = sum.partitions;
  const shop = sum.projects.find(({ project_id }) => project_id === 'shop');
  assert.ok(minute && partition && shop);
  sum.closed = false;
  for (const counts of [minute, partition, shop, sum.total]) counts.missing = 2;
  Object.assign(partition, { waiting: 7, behind_ms: 12_345 });
  const words =
    '! The sum does not close: 2 missing. Where: partition 0 of log 1 (2 missing), shop (2 missing).';
  // Also where another project is looked at.
  const other = await openPipeline({ ...sum, total: { ...sum.total, missing: 0 } });
  assert.equal(await other.page.getByTestId('sum-mark').textContent(), words);
  await other.close();
  const { page, close } = await openPipeline(sum);
  assert.equal(await page.getByTestId('sum-mark').textContent(), words);
  assert.match((await page.getByTestId('sum').textContent()) ?? '', /\+ 2 missing/);
  assert.ok((await page.locator('.stage.late').textContent())?.includes('the oldest for 12.3 s'));
  // The minute is marked, and its numbers are reached by keyboard.
  const minutes = page.getByTestId('minutes');
  assert.equal(await minutes.locator('svg .remark').textContent(), '!');
  await minutes.locator('svg').focus();
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowLeft');
  assert.match((await minutes.locator('.tip').textContent()) ?? '', /2 missing$/);
  await close();
});

test('a pipeline that cannot be asked says so, and keeps what it had', async () => {
  const { page, close } = await openPipeline(undefined);
  await page.getByText('The server cannot be reached.').waitFor();
  await page.unroute('**/api/pipeline*');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByTestId('sum').waitFor();
  await page.route('**/api/pipeline*', (route) =>
    route.fulfill({ status: 503, json: { error: { code: 'store_unreachable', message: 'No.' } } }),
  );
  await page.getByText('Not refreshed').waitFor();
  assert.ok(await page.getByTestId('sum').isVisible());
  await close();
});

const SPOOL: Spool = {
  ...{ records: 12_345, bytes: 3_400_000, behind_ms: 25 * 60_000 },
  ...{ log_answers: false, refusal: null },
};
const NOT_TOLD = { code: 'log_unreachable', message: 'The log does not answer for now.' };

test('while the log does not answer the page shows the spool, with the sum it had or without one', async () => {
  const { page, close } = await openPipeline(undefined);
  const refuse = (spool: Spool) =>
    page.route('**/api/pipeline*', (route) =>
      route.fulfill({ status: 503, json: { error: NOT_TOLD, spool } }),
    );
  await refuse(SPOOL);
  await page.reload();
  const spool = page.getByTestId('spool');
  const words =
    '! The log does not answer. 12,345 records are on the spool of this process (3.4 MB, the oldest for 25 min): accepted, and not in the sum.Events are taken, and sent on when the log answers again.';
  await spool.waitFor();
  assert.equal(await spool.textContent(), words);
  await page.getByText(NOT_TOLD.message).waitFor();

  await page.unroute('**/api/pipeline*');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByTestId('sum').waitFor();
  assert.equal(await spool.count(), 0);
  await refuse({ ...SPOOL, refusal: 'The log does not answer, and the spool is full.' });
  await page.getByText('New events are refused: The log does not answer, and').waitFor();
  // The sum is the one from before; what it does not have is said as it is now.
  const mark = (await page.getByTestId('sum-mark').textContent()) ?? '';
  assert.match(mark, /every record that is on the log is accounted for/);
  await close();
});

test('a spool that is sent on, or empty, is told beside the sum', async () => {
  const sum = await sumOf();
  const sending = { ...SPOOL, records: 1, bytes: 456, behind_ms: 3_000, log_answers: true };
  const empty = { ...sending, records: 0, bytes: 0, behind_ms: 0 };
  for (const [spool, words] of [
    [
      sending,
      '! The log answers, and what was spooled is sent on. 1 record is on the spool of this process (456 byte, the oldest for 3 s): accepted, and not in the sum.',
    ],
    [empty, 'The log answers. Nothing is on the spool of this process.'],
  ] as const) {
    const { page, close } = await openPipeline({ ...sum, spool });
    await page.getByTestId('spool').waitFor();
    assert.equal(await page.getByTestId('spool').textContent(), words);
    const mark = (await page.getByTestId('sum-mark').textContent()) ?? '';
    assert.match(mark, spool.records > 0 ? /every record that is on the log/ : /every accepted/);
    await close();
  }
});

test('a Spark job is shown as it runs, and when it was last seen where it does not', async () => {
  const sum = await sumOf();
  assert.equal(sum.spark, null);
  const seen_at = new Date(Date.now() - 5 * 60_000).toISOString();
  const spark: Spark = {
    seen_at,
    now: {
      ...{ batch: 1_204, rows: 3_000, input_rate: 2_984.4, process_rate: 7_480.7 },
      ...{ batch_ms: 1_510, insert_ms: 320, lag: 2_645, executors: 2 },
    },
    recent: [1, 2, 3].map((step) => ({ time: step * 10_000, batch_ms: step * 500, lag: 7 })),
  };
  const running = await openPipeline({ ...sum, spark });
  const textOf = (id: string) => running.page.getByTestId(id).textContent();
  assert.equal(await textOf('spark-input-rate'), '2,984.4');
  assert.equal(await textOf('spark-process-rate'), '7,480.7');
  assert.equal(await textOf('spark-batch'), '1.5 s');
  assert.equal(await textOf('spark-lag'), '2,645');
  assert.equal(await textOf('spark-executors'), '2');
  assert.match((await textOf('spark')) ?? '', /micro-batch 1,204 with 3,000 records, at/);
  assert.equal(await running.page.getByTestId('spark').locator('svg.spark').count(), 2);
  assert.deepEqual(await violationsOf(running.page, 'pipeline-spark'), []);
  assert.deepEqual(running.complaints, []);
  await running.close();

  const [one] = sum.partitions;
  assert.ok(one);
  for (const [waiting, words] of [
    [0, /heard of 5 min ago, at .*\. Nothing waits for the job\.$/],
    [3, /heard of 5 min ago, at .*\. 3 records wait: the job is stopped, or stands still\.$/],
  ] as const) {
    const partitions = [{ ...one, waiting }];
    const { page, close } = await openPipeline({
      ...sum,
      partitions,
      spark: { ...spark, now: null },
    });
    assert.match((await page.getByTestId('spark').textContent()) ?? '', words);
    await close();
  }
  const without = await openPipeline(sum);
  await without.page.getByTestId('sum').waitFor();
  assert.equal(await without.page.getByTestId('spark').count(), 0);
  await without.close();
});

test('the lag of each partition is shown, and that of all', async () => {
  const sum = await sumOf();
  const [one] = sum.partitions;
  assert.ok(one);
  const partitions = [
    { ...one, log_id: 2, waiting: 3, behind_ms: 1_500, committed: 7, accepted: 10 },
    {
      ...one,
      log_id: 2,
      log_partition: 1,
      waiting: 4,
      behind_ms: 2_500,
      committed: 1,
      accepted: 5,
    },
    { ...one, log_id: 1, waiting: 0, behind_ms: 0, committed: 99, accepted: 99 },
  ];
  const { page, close } = await openPipeline({ ...sum, partitions });
  const table = page.locator('figure', { hasText: 'Partitions of the log' });
  await table.waitFor();
  assert.deepEqual(await table.locator('tr').allTextContents(), [
    'LogPartitionLagOldest waits forMissingCommittedEnd',
    '2 (current)all72.5 s0815',
    '2 (current)031.5 s0710',
    '2 (current)142.5 s015',
    '100–09999',
  ]);
  await close();
});

test('a pipeline without records has words for it', async () => {
  const sum = await sumOf('?project=nobody');
  const { page, complaints, close } = await openPipeline({ ...sum, projects: [], rejected: [] });
  await page.getByText('Nothing was received in the last 60 minutes.').waitFor();
  await page.getByText('No event was refused.').waitFor();
  await page.getByText('No record has been accepted yet.').waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test('the pipeline page can be read by everyone, in both themes and three widths', async () => {
  const sum = await sumOf();
  const open = { ...sum, spool: SPOOL, closed: false, total: { ...sum.total, missing: 1 } };
  for (const scheme of ['light', 'dark'] as const) {
    for (const [width, answer] of [
      [1500, { ...sum, spool: { ...SPOOL, log_answers: true } }],
      [900, open],
      [390, { ...sum, spool: { ...SPOOL, refusal: 'The spool is full.' } }],
    ] as const) {
      const { page, close } = await openPipeline(answer, { scheme, width });
      await page.getByTestId('minutes').locator('svg').waitFor();
      assert.deepEqual(await violationsOf(page, `pipeline-${scheme}-${width}`), []);
      assert.deepEqual({ width, ...(await cutOf(page)) }, { width, cut: [], isWide: false });
      await close();
    }
  }
});
