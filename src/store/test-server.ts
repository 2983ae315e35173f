/**
 * Stands in for a ClickHouse server where the embedded engine differs from one: statements run side
 * by side under their query ids, and KILL QUERY ends those that it names. It keeps no rows.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createClickHouseStore } from './clickhouse.ts';
import type { Store } from './store.ts';

export interface TestServer {
  /** Statements in the order of their arrival; an INSERT with its query id before it. */
  readonly statements: string[];
  /** Query ids of the INSERTs that run. */
  running(): string[];
  /** INSERTs into this table run until they are killed. */
  hold(table: string): void;
  /** From now on KILL QUERY ends nothing, or is refused with this code. */
  killNothing(code?: number): void;
  /** A client of its own. */
  connect(database: string, settleMsMax?: number, cluster?: string): Store;
  close(): Promise<void>;
}

export async function startTestServer(): Promise<TestServer> {
  const statements: string[] = [];
  const held = new Set<string>();
  const running = new Map<string, ServerResponse>();
  const stores: Store[] = [];
  let killCode: number | undefined;
  let killsNothing = false;

  function fail(response: ServerResponse, code: number): void {
    response.writeHead(500, { 'x-clickhouse-exception-code': code });
    response.end(`Code: ${code}. DB::Exception: made for a test. (TEST)\n`);
  }

  function insert(id: string, sql: string, response: ServerResponse): void {
    const table = /INTO (\w+)/.exec(sql)?.[1] ?? '';
    if (running.has(id)) fail(response, 216);
    else if (held.has(table)) running.set(id, response);
    else response.end();
  }

  function kill(sql: string, response: ServerResponse): void {
    const isNamed = (id: string): boolean =>
      startsOf(sql).some((start) => id.startsWith(start)) || sql.includes(`query_id = '${id}'`);
    for (const [id, inserting] of [...running]) {
      if (killsNothing || !isNamed(id)) continue;
      running.delete(id);
      fail(inserting, 394);
    }
    if (killCode === undefined) response.end();
    else fail(response, killCode);
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString();
    const parameters = new URL(request.url ?? '/', 'http://test').searchParams;
    const sql = parameters.get('query') ?? body;
    const id = parameters.get('query_id') ?? '';
    const isInsert = sql.startsWith('INSERT');
    statements.push(isInsert ? `${id} ${sql}` : sql);
    if (isInsert) insert(id, sql, response);
    else if (sql.startsWith('KILL QUERY')) kill(sql, response);
    else if (sql.includes('system.processes')) {
      const inserts = [...running.keys()].filter((one) =>
        startsOf(sql).some((start) => one.startsWith(start)),
      ).length;
      response.end(JSON.stringify({ meta: [], data: [{ inserts }] }));
    } else response.end();
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    statements,
    running: () => [...running.keys()],
    hold: (table) => held.add(table),
    killNothing(code) {
      killsNothing = true;
      killCode = code;
    },
    connect(database, settleMsMax, cluster = '') {
      const store = createClickHouseStore({
        ...{ url: `http://127.0.0.1:${port}`, user: 'u', password: 'p', database, cluster },
        ...(settleMsMax === undefined ? {} : { settleMsMax }),
      });
      stores.push(store);
      return store;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      for (const store of stores) await store.close();
    },
  };
}

/** What the ids that a statement asks for begin with. */
const startsOf = (sql: string): string[] =>
  [...sql.matchAll(/startsWith\((?:initial_)?query_id, '([^']*)'\)/g)].map(
    ([, start = '']) => start,
  );
