/**
 * What tests of pages stand on: a real collector with a log in memory, pages of the test's own, and
 * the SDK freshly built. It can be told to refuse, and shows what was posted.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';
import { realClock } from '../src/base/clock.ts';
import { AppError, type Code } from '../src/base/errors.ts';
import { createHttpServer, type Route, send } from '../src/base/http.ts';
import { createLogger } from '../src/base/logger.ts';
import { createMetrics } from '../src/base/metrics.ts';
import { collectRoutes } from '../src/collect/http.ts';
import { HTTP_LIMITS } from '../src/collect/limits.ts';
import { openSteps } from '../src/collect/steps.ts';
import type { Event } from '../src/event/event.ts';
import { decodeRecord } from '../src/event/wire.ts';
import { createMemoryLog } from '../src/log/memory.ts';

export const KEY = 'page-test-key';
const CONFIG = join(import.meta.dirname, '..', 'vite.sdk.config.ts');
const WAIT_MS_MAX = 10_000;

export interface PageServer {
  readonly url: string;
  /** Answers of POST /v1/events that are still to be given, before it takes events again. */
  readonly refusals: { code: Code; retryAfterS?: number }[];
  /** Requests to POST /v1/events so far, refused ones too. */
  posts(): number;
  /** The events on the log, as soon as there are `count`; rejects when they do not come. */
  events(count: number): Promise<Event[]>;
  close(): Promise<void>;
}

/** `pages` are bodies of HTML by path; each gets the script tag of the SDK. */
export async function startPageServer(
  pages: Readonly<Record<string, string>>,
  moreRoutes: readonly Route[] = [],
): Promise<PageServer> {
  const folder = await mkdtemp(join(tmpdir(), 'clickstream-page-'));
  const outDir = join(folder, 'sdk');
  await build({ configFile: CONFIG, logLevel: 'error', build: { outDir } });
  const log = createMemoryLog({ partitions: 1 });
  const collect = collectRoutes({
    log,
    keys: new Map([[KEY, 'shop']]),
    clock: realClock,
    metrics: createMetrics(),
    steps: openSteps({ clock: realClock, dataFolder: folder }),
    trustProxy: false,
    sdkFile: pathToFileURL(join(outDir, 'sdk.js')),
  });
  const refusals: PageServer['refusals'] = [];
  let posts = 0;
  const refusing = collect.map((route): Route => {
    if (route.method !== 'POST') return route;
    return {
      ...route,
      handle(exchange) {
        posts++;
        const refusal = refusals.shift();
        if (refusal === undefined) return route.handle(exchange);
        throw new AppError(refusal.code, 'Refused by the test.', refusal);
      },
    };
  });
  const routes = Object.entries(pages).map(([path, body]): Route => {
    const html = `<!doctype html><html lang="en"><head><title>Page ${path}</title>
      <script defer src="/sdk.js" data-key="${KEY}"></script></head>${body}</html>`;
    const headers = { 'content-type': 'text/html; charset=utf-8' };
    return { method: 'GET', path, handle: ({ response }) => send(response, 200, html, headers) };
  });
  const server = createHttpServer(
    [...routes, ...moreRoutes, ...refusing],
    HTTP_LIMITS,
    createLogger('silent'),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refusals,
    posts: () => posts,
    async events(count) {
      const endMs = performance.now() + WAIT_MS_MAX;
      for (let found: Event[] = []; ; ) {
        // Waits for the next record, and shows all of them.
        const waitMs = Math.max(0, endMs - performance.now());
        await log.read(0, Math.max(found.length, count - 1), {
          recordsMax: 1,
          bytesMax: 1,
          waitMs,
        });
        const records = await log.read(0, 0, { recordsMax: 10_000, bytesMax: 1e8, waitMs: 0 });
        found = records.flatMap(({ bytes }) => {
          const record = decodeRecord(bytes);
          return 'event' in record ? [record.event] : [];
        });
        if (found.length >= count) return found;
        if (waitMs === 0) throw new Error(`${found.length} of ${count} events came`);
      }
    },
    async close() {
      server.closeAllConnections();
      await once(server.close(), 'close');
      await log.close();
      await rm(folder, { recursive: true });
    },
  };
}
