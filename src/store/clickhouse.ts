/**
 * The one implementation of the store: `@clickhouse/client` against whatever answers at the URL.
 * It cannot tell the embedded engine from a server.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClickHouseError, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { AppError } from '../base/errors.ts';
import { askAllServers, CLUSTER_SETTINGS, forCluster, syncReplicas } from './cluster.ts';
import { migrate } from './migrate.ts';
import type { InsertRow, SelectOptions, Store, Value } from './store.ts';

export interface ClickHouseOptions {
  url: string;
  user: string;
  password: string;
  database: string;
  /** The name of a cluster whose servers hold it together; empty for a single server. */
  cluster?: string;
  /** How long `settle` tries. */
  settleMsMax?: number;
}

const DATABASE = 'clickstream';

/** `http://user:password@host:8123/database` */
export function readServerAddress(address: string): ClickHouseOptions {
  const { protocol, host, username, password, pathname } = new URL(address);
  return {
    url: `${protocol}//${host}`,
    user: decodeURIComponent(username) || 'default',
    password: decodeURIComponent(password),
    database: pathname.slice(1) || DATABASE,
  };
}

const NEWLINE = 0x0a;
const INSERT_MS_MAX = 60_000;
const SELECT_MS = 30_000;
const SETTLE_MS_MAX = 60_000;
const LOOK_AGAIN_MS = 50;

/**
 * One block, one part, no tokens: an INSERT appears whole or not at all, and the data decide
 * whether it did (docs/delivery.md).
 */
const INSERT_SETTINGS = Object.entries({
  async_insert: 0,
  wait_for_async_insert: 1,
  deduplicate_insert: "'disable'",
  max_insert_threads: 1,
  max_partitions_per_insert_block: 1,
  min_insert_block_size_rows: 10_000_000,
  max_insert_block_size: 10_000_000,
  min_insert_block_size_bytes: 0,
  // A batch is small: handing it from thread to thread costs more than it saves.
  input_format_parallel_parsing: 0,
})
  .map(([name, value]) => `${name} = ${value}`)
  .join(', ');

/** No such user, a password that is missing or wrong, an address that it may not come from. */
const NOT_LET_IN = new Set([192, 193, 194, 195, 516]);

/** The constraint `fence` of the table `records`. */
const VIOLATED_CONSTRAINT = 469;

/**
 * Errors of ClickHouse that blame the rows of an INSERT: nothing of it is in the table, and fewer
 * rows may do. What blames the statement, the table or the user says nothing about the rows.
 */
const REFUSALS = new Set([6, 26, 27, 33, 36, 38, 41, 53, 69, 70, 72, 117, 131, 252, 349, 407]);

/**
 * The same code says that the rows of an INSERT belong into two partitions, which is about them, and
 * that the table has too many parts, which is not: merges need time.
 */
const TOO_MANY_PARTS = 252;

export function createClickHouseStore(options: ClickHouseOptions): Store {
  const { database } = options;
  const cluster = options.cluster ? { name: options.cluster, database } : undefined;
  const common = {
    url: options.url,
    username: options.user,
    password: options.password,
    request_timeout: INSERT_MS_MAX,
    max_open_connections: 32,
    keep_alive: { enabled: true, idle_socket_ttl: 2_500 },
    // What fails is thrown with its cause; the client must not write beside our log.
    log: { level: ClickHouseLogLevel.OFF },
    compression: { request: false, response: false },
    clickhouse_settings: {
      output_format_json_quote_64bit_integers: 0,
      output_format_json_quote_decimals: 1,
      ...(cluster === undefined ? {} : CLUSTER_SETTINGS),
    },
  } as const;
  const client = createClient({ ...common, database: options.database });
  /** Inserts of which it is not known whether they are over, with the start of their ids. */
  const open = new Map<string, string>();
  /** Another database on the same server may have the same groups. */
  const idStart = (group: string): string => `clickstream-${options.database}-${group}-`;

  /** Another id for each try: a server refuses one that it already runs. */
  async function withId<T>(group: string, work: (queryId: string) => Promise<T>): Promise<T> {
    const start = idStart(group);
    const queryId = start + randomUUID();
    open.set(queryId, start);
    try {
      const done = await work(queryId);
      open.delete(queryId);
      return done;
    } catch (error) {
      // What was answered, or never sent, is over; whatever else it was may still be running.
      if (error instanceof ClickHouseError || isUnsent(error)) open.delete(queryId);
      throw error;
    }
  }

  /** Ends what is in the list of the server, until nothing of it is left there. */
  async function settle(groups: readonly string[], limit: AbortSignal): Promise<void> {
    const starts = new Set(groups.map(idStart));
    // A shard runs its part of an INSERT under an id of its own.
    const id = cluster === undefined ? 'query_id' : 'initial_query_id';
    const running = [...starts].map((start) => `startsWith(${id}, '${start}')`).join(' OR ');
    const everywhere = cluster === undefined ? '' : ` ON CLUSTER ${cluster.name}`;
    const ours = [...open].filter(([, start]) => starts.has(start)).map(([id]) => id);
    // A server has them all by their start. The engine has no ids: it takes statements in turn, and
    // by their whole ids it refuses those of ours that have not arrived.
    const late = ours.map((id) => ` OR query_id = '${id}'`).join('');
    for (;;) {
      await client.command({
        query: `KILL QUERY${everywhere} WHERE ${running}${late} SYNC`,
        abort_signal: limit,
      });
      // KILL leaves out, and says nothing, what another user runs that this one may not end.
      const [left] = await store.select<{ inserts: number }>(
        `SELECT count() AS inserts FROM system.processes WHERE ${running}`,
        {},
        { signal: limit },
      );
      if (left?.inserts === 0) break;
      await sleep(LOOK_AGAIN_MS, undefined, { signal: limit });
    }
    if (cluster !== undefined)
      for (const query of syncReplicas(cluster))
        await client.command({ query, abort_signal: limit });
    for (const id of ours) open.delete(id);
  }

  const store: Store = {
    async migrate() {
      // A server refuses every statement that comes with the name of a database it does not have.
      const anyDatabase = createClient(common);
      try {
        const create = `CREATE DATABASE IF NOT EXISTS \`${database}\``;
        for (const query of cluster === undefined ? [create] : forCluster(create, cluster))
          await anyDatabase.command({ query });
      } catch (error) {
        throw sortError(error, options.user);
      } finally {
        await anyDatabase.close();
      }
      await migrate(
        (sql) => store.command(sql),
        (sql) => store.select(sql),
      );
    },

    async insert(table, columns, rows, group = table) {
      const body = bodyOf(rows);
      try {
        await withId(group, async (query_id) => {
          const { stream } = await client.exec({
            query: `INSERT INTO ${table} (${columns.join(', ')}) SETTINGS ${INSERT_SETTINGS} FORMAT JSONCompactEachRow`,
            values: Readable.from([body], { objectMode: false }),
            query_id,
            ignore_error_response: false,
          });
          await drain(stream);
        });
      } catch (error) {
        throw sortInsertError(error, options.user);
      }
    },

    async settle(groups) {
      const limit = AbortSignal.timeout(options.settleMsMax ?? SETTLE_MS_MAX);
      try {
        await settle(groups, limit);
      } catch (error) {
        if (!limit.aborted)
          throw error instanceof AppError ? error : sortError(error, options.user);
        throw new AppError(
          'store_ambiguous',
          'The store has not ended the inserts of before in time; may its user KILL QUERY?',
          { cause: error },
        );
      }
    },

    select: async <Row>(
      sql: string,
      params?: Readonly<Record<string, Value>>,
      more?: SelectOptions,
    ) => (await store.query<Row>(sql, params, more)).rows,

    async query<Row>(
      sql: string,
      params: Readonly<Record<string, Value>> = {},
      more: SelectOptions = {},
    ) {
      const timeoutMs = more.timeoutMs ?? SELECT_MS;
      try {
        const result = await client.query({
          query: cluster === undefined ? sql : askAllServers(sql, cluster),
          query_params: params,
          format: 'JSON',
          clickhouse_settings: { max_execution_time: Math.ceil(timeoutMs / 1000) },
          ...(more.signal === undefined ? {} : { abort_signal: more.signal }),
        });
        const { meta, data } = await result.json<Row>();
        return { columns: meta ?? [], rows: data };
      } catch (error) {
        throw sortError(error, options.user);
      }
    },

    async command(sql, params = {}, group) {
      try {
        for (const query of cluster === undefined ? [sql] : forCluster(sql, cluster)) {
          const statement = { query, query_params: params };
          if (group === undefined) await client.command(statement);
          else await withId(group, (query_id) => client.command({ ...statement, query_id }));
        }
      } catch (error) {
        throw sortError(error, options.user);
      }
    },

    ping: async () => (await client.ping()).success,
    close: () => client.close(),
  };

  return store;
}

/** Line by line into its place: the text of a batch is large, and is not put together first. */
function bodyOf(rows: readonly InsertRow[]): Buffer {
  const lines = rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row)));
  const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  const body = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const line of lines) {
    at += body.write(line, at);
    at = body.writeUInt8(NEWLINE, at);
  }
  return body;
}

async function drain(stream: Readable): Promise<void> {
  for await (const chunk of stream) if (chunk === undefined) break;
}

function sortInsertError(error: unknown, user: string): AppError {
  if (error instanceof ClickHouseError) {
    if (Number(error.code) === VIOLATED_CONSTRAINT) {
      return new AppError(
        'taken_over',
        'Another processor writes this partition now; this one must not write any more.',
        { cause: error },
      );
    }
    const code = Number(error.code);
    const isCrowded = code === TOO_MANY_PARTS && error.message.includes('Too many parts');
    const refused = REFUSALS.has(code) && !isCrowded;
    return new AppError(refused ? 'store_refused' : 'store_ambiguous', message(error, user), {
      cause: error,
    });
  }
  const code = codeOf(error);
  if (isUnsent(error)) {
    return new AppError('store_unreachable', `The store does not answer (${code}).`, {
      cause: error,
      retryAfterS: 1,
    });
  }
  return new AppError('store_ambiguous', `The insert ended without an answer (${code}).`, {
    cause: error,
  });
}

function isUnsent(error: unknown): boolean {
  return ['ECONNREFUSED', 'ENOTFOUND'].includes(codeOf(error));
}

function sortError(error: unknown, user: string): AppError {
  if (error instanceof ClickHouseError)
    return new AppError('store_refused', message(error, user), { cause: error });
  return new AppError('store_unreachable', `The store does not answer (${codeOf(error)}).`, {
    cause: error,
    retryAfterS: 1,
  });
}

/** @param user Whose statement it was. */
function message(error: ClickHouseError, user: string): string {
  if (NOT_LET_IN.has(Number(error.code)))
    return `The store does not let the user "${user}" in with this password (code ${error.code}).`;
  return `Code ${error.code}: ${error.message}`;
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
