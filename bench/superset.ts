/**
 * Superset on two million events, on the same two cores as engine and browser: how long each chart of
 * its dashboards takes to answer when nothing is kept, and what Superset takes in memory.
 */
import { join } from 'node:path';
import { CACHES } from '../local/cache.ts';
import { readUsers } from '../src/engine/users.ts';
import { whyNoSuperset } from '../superset/python.ts';
import { type Superset, startSuperset } from '../superset/superset.ts';
import { launchBrowser } from '../test/browser.ts';
import { type Api, openApi } from '../test/superset/api.ts';
import { answersOf, chartNames, chartsOn, logIn } from '../test/superset/viewer.ts';
import { freePort, openStore, removeFolder, startSystem, temporaryFolder } from '../test/system.ts';
import { sendHistory, untilMerged } from './history.ts';
import { percentile, type Report, whole } from './report.ts';

const EVENTS = 2_000_000;
/** All of them are in the time range of the dashboard Shop. */
const DAYS = 14;
const ROUNDS = 20;
/** For answers that are kept: so many ask at a time, and so long. */
const ASKERS = 4;
const ASK_MS = 10_000;
const DASHBOARDS = ['shop', 'live', 'pipeline'];
const WIDTH = 1_500;
const MB = 1024 * 1024;

export async function measureSuperset(): Promise<Report[]> {
  const why = await whyNoSuperset();
  if (why !== undefined) {
    process.stderr.write(`bench: without superset: ${why}\n`);
    return [];
  }
  const folder = await temporaryFolder('bench-superset');
  const system = await startSystem(join(folder, 'system'));
  try {
    await sendHistory(system, DAYS, EVENTS);
    const store = openStore(system);
    await untilMerged(store);
    await store.close();
    const { name: user, password } = readUsers(join(system.data, 'store')).reader;
    const host = '127.0.0.1';
    const port = Number(new URL(system.engineUrl).port);
    const startMs = performance.now();
    const superset = await startSuperset({
      folder: join(folder, 'superset'),
      environment: join(CACHES, 'superset'),
      database: { host, port, isSecure: false, database: 'clickstream', user, password },
      port: await freePort(),
    });
    const startSeconds = (performance.now() - startMs) / 1_000;
    try {
      const { report, keptPerSecond } = await measureCharts(superset);
      const bytes = await superset.residentBytes();
      return [
        report,
        {
          title: 'Superset: start, memory, and many viewers',
          says: `From a folder without anything but the Python environment until it serves; the resident memory of all its processes after every chart was answered; and how many answers a second Superset gives of those that it has, the charts of Live, asked for by ${ASKERS} at a time. Fifty viewers of Live want 35.`,
          columns: ['', 'measured', 'goal'],
          rows: [
            ['set up, imported, serving', `${startSeconds.toFixed(0)} s`, ''],
            ['memory', `${whole(bytes / MB)} MB`, '≤ 600 MB'],
            ['kept answers a second', keptPerSecond.toFixed(0), ''],
          ],
        },
      ];
    } finally {
      await superset.stop();
    }
  } finally {
    await system.stop();
    await removeFolder(folder);
  }
}

async function measureCharts(
  superset: Superset,
): Promise<{ report: Report; keptPerSecond: number }> {
  const api = await openApi(superset);
  const names = await chartNames(api);
  const browser = await launchBrowser();
  const rows: string[][] = [];
  let keptPerSecond = 0;
  try {
    const page = await logIn(browser, superset, WIDTH);
    for (const slug of DASHBOARDS) {
      const answering = answersOf(page, names, await chartsOn(api, slug));
      await page.goto(`${superset.url}/superset/dashboard/${slug}/`);
      const asked = new Map((await answering).map(({ chart, request }) => [chart, request]));
      // Its own refreshes would be the load.
      await page.goto('about:blank');
      for (const [chart, request] of asked) {
        const times: number[] = [];
        for (let round = 0; round < ROUNDS; round++) times.push(await timeOf(api, request));
        const [median, p95] = [0.5, 0.95].map((share) => whole(percentile(times, share)));
        rows.push([slug, chart, `${median}`, `${p95}`, 'p95 ≤ 300']);
      }
      if (slug === 'live') keptPerSecond = await rateOf(api, [...asked.values()]);
    }
  } finally {
    await browser.close();
  }
  const report: Report = {
    title: 'Superset: charts',
    says: `Each chart of the dashboards asked for ${ROUNDS} times, one after the other, past the cache, through Superset and the embedded engine; ${whole(EVENTS)} events of ${DAYS} days, all of them in the range of Shop; the other two look at the last hours.`,
    columns: ['dashboard', 'chart', 'p50 ms', 'p95 ms', 'goal, ms'],
    rows,
  };
  return { report, keptPerSecond };
}

interface Request {
  path: string;
  body: object;
}

/** Answers a second, of those that are kept; once in ten seconds each chart is asked of the store. */
async function rateOf(api: Api, requests: Request[]): Promise<number> {
  let answers = 0;
  const startMs = performance.now();
  const ask = async (): Promise<void> => {
    while (performance.now() - startMs < ASK_MS)
      for (const { path, body } of requests) {
        const { status, text } = await api.post(path, body);
        if (status !== 200) throw new Error(`${path}: ${status} ${text.slice(0, 300)}`);
        answers++;
      }
  };
  await Promise.all(Array.from({ length: ASKERS }, ask));
  return (answers * 1_000) / (performance.now() - startMs);
}

async function timeOf(api: Api, { path, body }: Request): Promise<number> {
  const startMs = performance.now();
  const { status, text } = await api.post(path, { ...body, force: true });
  if (status !== 200) throw new Error(`${path}: ${status} ${text.slice(0, 300)}`);
  return performance.now() - startMs;
}
