/**
 * The whole system with some days of a shop in it, a real Superset on it, and a proxy between the two
 * that counts what Superset asks of the store.
 */
import { once } from 'node:events';
import { createServer, request as openRequest } from 'node:http';
import { join } from 'node:path';
import { CACHES } from '../../local/cache.ts';
import { createShop } from '../../src/demo/shop.ts';
import { readUsers } from '../../src/engine/users.ts';
import type { Event } from '../../src/event/event.ts';
import { COLUMNS, storedRow } from '../../src/process/row.ts';
import type { Database } from '../../superset/database.ts';
import { type Superset, startSuperset } from '../../superset/superset.ts';
import {
  freePort,
  openStore,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
} from '../system.ts';

export interface SupersetStage {
  readonly system: SystemProcess;
  readonly superset: Superset;
  readonly database: Database;
  /** SELECTs of charts that have reached the store so far. */
  asked(): number;
  /** Whatever has reached the store so far. */
  requests(): number;
  /** Stops it, and starts it again with its dashboards imported once more. */
  importAgain(): Promise<void>;
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;
const DAYS = 14;
const EVENTS = 20_000;
/** A log that nobody processes. */
const LOG_ID = 60_000;

export async function startSupersetStage(progress: (text: string) => void): Promise<SupersetStage> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    const folder = await temporaryFolder('superset');
    closers.push(() => removeFolder(folder));
    const system = await startSystem(join(folder, 'system'));
    closers.push(system.stop);
    await fill(system);
    const proxy = await startCounting(system.engineUrl);
    closers.push(proxy.close);
    const { name: user, password } = readUsers(join(system.data, 'store')).reader;
    const database: Database = {
      ...{ host: '127.0.0.1', port: proxy.port, isSecure: false },
      ...{ database: 'clickstream', user, password },
    };
    const options = {
      folder: join(folder, 'superset'),
      environment: join(CACHES, 'superset'),
      database,
      port: await freePort(),
      progress,
    };
    let superset = await startSuperset(options);
    closers.push(() => superset.stop());
    return {
      system,
      database,
      get superset() {
        return superset;
      },
      asked: proxy.asked,
      requests: proxy.requests,
      async importAgain() {
        await superset.stop();
        superset = await startSuperset({ ...options, importsAgain: true });
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Days that are over straight into the store, and the last minutes on the path of events. */
async function fill(system: SystemProcess): Promise<void> {
  const store = openStore(system);
  const toMs = Date.now();
  const sent = [...createShop({ seed: 8 }).history(toMs - DAYS * DAY_MS, toMs, EVENTS)];
  const months = Map.groupBy(sent.entries(), ([, each]) =>
    new Date(each.event_time ?? toMs).toISOString().slice(0, 7),
  );
  for (const entries of months.values()) {
    const rows = entries.map(([log_offset, each]) => {
      const place = { log_id: LOG_ID, log_partition: 0, log_offset, batch_id: 1, owner: 0 };
      return storedRow({ event: stored(each, log_offset), propertiesText: '' }, place);
    });
    await store.insert('records', COLUMNS, rows);
  }
  await store.close();
  const body = { events: sent.slice(-400).map((each, i) => now(each, `now-${i}`)) };
  const authorization = 'Bearer shop-dev-key';
  const post = (text: string) =>
    fetch(`${system.url}/v1/events`, { method: 'POST', headers: { authorization }, body: text });
  const answer = await post(JSON.stringify(body));
  if (answer.status !== 202) throw new Error(await answer.text());
  await post('{"event_name":"SEARCH","event_time":"never"}');
}

function stored(sent: Partial<Event> & { event_name: string }, number: number): Event {
  const path = sent.url === undefined ? {} : { path: new URL(sent.url).pathname };
  const ms = sent.event_time ?? 0;
  const needed = { v: 1 as const, project_id: 'shop', session_id: '', visitor_id: '' };
  return { ...needed, event_id: String(number), received_at: ms, event_time: ms, ...path, ...sent };
}

/** The same, as if it happened within the last minutes. */
function now({ event_time: _, ...sent }: Partial<Event>, event_id: string): object {
  return { ...sent, event_id };
}

/** The questions with which a client begins are none of a chart's. */
const CHART = /^\s*SELECT\b[\s\S]*\bFROM\b(?!\s+system\.)/i;

async function startCounting(storeUrl: string) {
  let asked = 0;
  let requests = 0;
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    requests++;
    if (CHART.test(body.toString())) asked++;
    const to = openRequest(new URL(request.url ?? '/', storeUrl), {
      method: request.method,
      headers: request.headers,
      agent: false,
    });
    to.on('error', () => response.destroy());
    to.on('response', (from) => {
      response.writeHead(from.statusCode ?? 500, from.headers);
      from.pipe(response);
    });
    to.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    asked: () => asked,
    requests: () => requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
