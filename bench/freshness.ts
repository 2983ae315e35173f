/**
 * How old an event is when it can be seen: from its 202 until a query finds it, and until it is
 * drawn in an open dashboard, while other events come in at a steady rate. And how long it takes
 * from nothing to the first event on the screen, and from a kill to serving again.
 */
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../test/browser.ts';
import {
  freePort,
  openStore,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
} from '../test/system.ts';
import { startLoad } from './load.ts';
import { median, percentile, type Report } from './report.ts';

const ROUNDS = 5;
const SECONDS = 6;
const RATES = [1_000, 5_000, 20_000] as const;
/** Time between two probes; no multiple of any interval of the system. */
const PROBE_EVERY_MS = 37;
/** Between two looks into the store: often enough to see, rarely enough not to be the load. */
const LOOK_EVERY_MS = 5;
const KEYS = 'shop:bench-key,probe:probe-key';
const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36';

export async function measureFreshness(): Promise<Report> {
  const data = await temporaryFolder('bench-freshness');
  const system = await startSystem(data, { CLICKSTREAM_KEYS: KEYS });
  const browser = await launchBrowser();
  const load = startLoad();
  const rows: string[][] = [];
  try {
    for (const [i, eventsPerSecond] of RATES.entries()) {
      const rounds: Record<'queryable' | 'drawn', number[][]> = { queryable: [], drawn: [] };
      const during = async (probe: (endMs: number) => Promise<number[]>, seed: number) => {
        const order = { url: system.url, key: 'bench-key', batch: 50, connections: 16, seed };
        const running = load.run({ ...order, seconds: SECONDS, eventsPerSecond });
        const times = await probe(performance.now() + (SECONDS - 1) * 1_000);
        const { refused } = await running;
        if (refused > 0) throw new Error(`${refused} events were refused`);
        return times;
      };
      // One after the other: to look for an event, or to draw it, costs as well.
      for (let round = 0; round < ROUNDS; round++) {
        const seed = (i * ROUNDS + round) * 2 + 1;
        rounds.queryable.push(await during((endMs) => probeStore(system, endMs), seed));
        const page = await openDashboard(browser, system);
        rounds.drawn.push(await during((endMs) => probePage(system, page, endMs), seed + 1));
        await page.close();
      }
      for (const [until, goal] of [
        ['queryable', eventsPerSecond === 5_000 ? 'p99 ≤ 100' : ''],
        ['drawn', eventsPerSecond === 5_000 ? 'p95 ≤ 250' : ''],
      ] as const) {
        const at = (share: number): string =>
          median(rounds[until].map((times) => percentile(times, share))).toFixed(0);
        const count = rounds[until].reduce((sum, times) => sum + times.length, 0);
        rows.push([
          eventsPerSecond.toLocaleString('en'),
          until,
          at(0.5),
          at(0.95),
          at(0.99),
          String(count),
          goal,
        ]);
      }
    }
  } finally {
    await load.close();
    await browser.close();
    await system.stop();
    await removeFolder(data);
  }
  return {
    title: 'Freshness',
    says: `From the 202 of a single event until the start of the first query that finds it, or until it is painted in a dashboard that is open in Chromium (without a GPU); other events come in an open loop of 50 a request. Percentiles are medians of ${ROUNDS} rounds; browser, load and probes on the same two cores.`,
    columns: ['events/s meanwhile', 'until', 'p50 ms', 'p95 ms', 'p99 ms', 'probes', 'goal, ms'],
    rows,
  };
}

/** Times from the 202 until the start of the first query that finds the event. */
export async function probeStore(
  system: SystemProcess,
  endMs: number,
  lookEveryMs = LOOK_EVERY_MS,
): Promise<number[]> {
  const store = openStore(system);
  const times: number[] = [];
  const accepted = new Map<string, number>();
  const look = async (): Promise<void> => {
    while (performance.now() < endMs || accepted.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      const names = [...accepted.keys()];
      const startMs = performance.now();
      const found = await store.select<{ event_name: string }>(
        `SELECT event_name FROM events
         WHERE project_id = 'probe' AND event_name IN {names:Array(String)}`,
        { names },
      );
      for (const { event_name } of found) {
        times.push(startMs - (accepted.get(event_name) ?? Number.NaN));
        accepted.delete(event_name);
      }
    }
  };
  const looking = look();
  while (performance.now() < endMs) {
    const { name, acceptedMs } = await sendProbe(system);
    accepted.set(name, acceptedMs);
    await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
  }
  await looking;
  await store.close();
  return times;
}

/** Times from the 202 until the event is painted in the page's list of latest events. */
async function probePage(system: SystemProcess, page: Page, endMs: number): Promise<number[]> {
  const accepted = new Map<string, number>();
  while (performance.now() < endMs) {
    const { name, acceptedMs } = await sendProbe(system);
    accepted.set(name, performance.timeOrigin + acceptedMs);
    await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS * 3));
  }
  const last = [...accepted.keys()].at(-1) ?? '';
  await page.waitForFunction((name) => window.painted.has(name), last);
  const painted = await page.evaluate(() => [...window.painted]);
  return painted.flatMap(([name, atMs]) => {
    const acceptedAtMs = accepted.get(name);
    return acceptedAtMs === undefined ? [] : [atMs - acceptedAtMs];
  });
}

let probes = 0;

async function sendProbe(system: SystemProcess): Promise<{ name: string; acceptedMs: number }> {
  const name = `P${++probes}`;
  const response = await fetch(`${system.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: 'Bearer probe-key' },
    body: JSON.stringify({
      event_name: name,
      event_id: name,
      session_id: 'probe',
      path: `/${name}`,
    }),
  });
  const acceptedMs = performance.now();
  if (response.status !== 202) throw new Error(`a probe was answered ${response.status}`);
  await response.arrayBuffer();
  return { name, acceptedMs };
}

declare global {
  interface Window {
    /** Name of each probe → when it was painted, ms since 1970. */
    painted: Map<string, number>;
  }
}

async function openDashboard(browser: Browser, system: SystemProcess): Promise<Page> {
  const context = await browser.newContext({ userAgent: USER_AGENT });
  const page = await context.newPage();
  await page.goto(`${system.url}/?project=probe`);
  await page.waitForFunction(() =>
    /^Live/.test(document.querySelector('[data-testid=live-state]')?.textContent ?? ''),
  );
  // What is in view has its first answers.
  await page.waitForTimeout(1_000);
  await page.evaluate(() => {
    window.painted = new Map();
    new MutationObserver(() => {
      const names = document.querySelector('.feed')?.textContent?.match(/P\d+/g) ?? [];
      const fresh = new Set(names.filter((name) => !window.painted.has(name)));
      for (const name of fresh) window.painted.set(name, Number.NaN);
      // After the next frame: what was put into the document is on the screen.
      requestAnimationFrame(() =>
        setTimeout(() => {
          const nowMs = performance.timeOrigin + performance.now();
          for (const name of fresh) window.painted.set(name, nowMs);
        }),
      );
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  return page;
}

/** From an empty folder to the first event on the screen, and from kills to serving again. */
export async function measureStart(): Promise<Report> {
  const browser = await launchBrowser();
  const firstEvents: number[] = [];
  const engines: number[] = [];
  const systems: number[] = [];
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const data = await temporaryFolder('bench-start');
      const ports = {
        CLICKSTREAM_PORT: String(await freePort()),
        CLICKSTREAM_ENGINE_PORT: String(await freePort()),
      };
      const page = await (await browser.newContext({ userAgent: USER_AGENT })).newPage();
      const startMs = performance.now();
      const starting = startSystem(data, ports, ['--demo']);
      const url = `http://127.0.0.1:${ports.CLICKSTREAM_PORT}/`;
      // Refused until it listens.
      for (let answer = null; answer === null; ) answer = await page.goto(url).catch(() => null);
      await page.waitForFunction(() =>
        /[1-9]/.test(document.querySelector('[data-testid=live-events]')?.textContent ?? ''),
      );
      firstEvents.push(performance.now() - startMs);
      let system = await starting;

      const [, engine] = await system.pids();
      const killedMs = performance.now();
      process.kill(engine ?? 0, 'SIGKILL');
      await untilEngineAnswers(system, engine ?? 0);
      engines.push(performance.now() - killedMs);

      await system.kill();
      const againMs = performance.now();
      system = await startSystem(data, ports);
      systems.push(performance.now() - againMs);
      await page.close();
      await system.stop();
      await removeFolder(data);
    }
  } finally {
    await browser.close();
  }
  const row = (name: string, values: number[], goal: string): string[] => [
    name,
    (median(values) / 1000).toFixed(2),
    `${(Math.min(...values) / 1000).toFixed(2)}–${(Math.max(...values) / 1000).toFixed(2)}`,
    goal,
  ];
  return {
    title: 'Start and recovery',
    says: `${ROUNDS} rounds, each on an empty folder, with the synthetic shop filling its history meanwhile. A start includes an event that is sent through the whole path and read back.`,
    columns: ['', 'seconds, median', 'range', 'goal'],
    rows: [
      row('command to first event on the screen', firstEvents, '≤ 5'),
      row('kill -9 of the engine to serving again', engines, '≤ 2'),
      row('kill -9 of the system, then start to ready', systems, ''),
    ],
  };
}

/** Another process than `killed` answers on the engine's port. */
async function untilEngineAnswers(system: SystemProcess, killed: number): Promise<void> {
  for (;;) {
    const [, engine] = await system.pids();
    const answers = await fetch(`${system.engineUrl}/ping`).then(
      (answer) => answer.status === 200,
      () => false,
    );
    if (engine !== undefined && engine !== killed && answers) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
