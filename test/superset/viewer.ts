/** One who looks at a dashboard in a browser, and what its charts are answered meanwhile. */
import type { Browser, Page, Response } from 'playwright-core';
import type { Superset } from '../../superset/superset.ts';
import type { Api } from './api.ts';

export interface Answered {
  chart: string;
  status: number;
  rows: Record<string, unknown>[];
  /** As `Api.post` takes it. */
  request: { path: string; body: object };
}

/** Tall enough that Superset loads the charts at the bottom as well. */
const HEIGHT = 3_200;

/** The names of all charts, by Superset's own numbers. */
export async function chartNames(api: Api): Promise<Map<number, string>> {
  const { result } = await api.get<{ result: { id: number; slice_name: string }[] }>(
    'chart/?q=(page_size:100)',
  );
  return new Map(result.map(({ id, slice_name }) => [id, slice_name]));
}

/** The names of the charts on a dashboard. */
export async function chartsOn(api: Api, slug: string): Promise<string[]> {
  const { result } = await api.get<{ result: { slice_name: string }[] }>(
    `dashboard/${slug}/charts`,
  );
  return result.map(({ slice_name }) => slice_name).toSorted();
}

export async function logIn(
  browser: Browser,
  { url, user, password }: Superset,
  width: number,
): Promise<Page> {
  const page = await browser.newPage({ viewport: { width, height: HEIGHT } });
  await page.goto(`${url}/login/`);
  await page.fill('input[name=username], #username', user);
  await page.fill('input[name=password], #password', password);
  await page.keyboard.press('Enter');
  await page.waitForURL(/welcome/);
  return page;
}

/** Collects answers of charts until each of these has answered so many times. */
export function answersOf(
  page: Page,
  names: ReadonlyMap<number, string>,
  expected: readonly string[],
  times = 1,
): Promise<Answered[]> {
  const answered: Answered[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<Answered[]>();
  const take = async (response: Response): Promise<void> => {
    const one = await read(response, names);
    if (one === undefined) return;
    answered.push(one);
    const counts = expected.map((name) => answered.filter(({ chart }) => chart === name).length);
    if (counts.every((count) => count >= times)) resolve(answered);
  };
  const listen = (response: Response) => void take(response).catch(reject);
  page.on('response', listen);
  return promise.finally(() => page.off('response', listen));
}

/** Undefined for what is no answer of a chart: filters ask in the same way. */
async function read(
  response: Response,
  names: ReadonlyMap<number, string>,
): Promise<Answered | undefined> {
  const url = new URL(response.url());
  if (!url.pathname.endsWith('/api/v1/chart/data')) return undefined;
  const form = JSON.parse(url.searchParams.get('form_data') ?? '{}') as { slice_id?: number };
  const chart = names.get(form.slice_id ?? 0);
  if (chart === undefined) return undefined;
  const { result = [] } = (await response.json()) as { result?: { data: [] }[] };
  const path = `${url.pathname}${url.search}`.replace(/^\/api\/v1\//, '');
  const request = { path, body: JSON.parse(response.request().postData() ?? '{}') };
  return { chart, status: response.status(), rows: result.flatMap(({ data }) => data), request };
}
