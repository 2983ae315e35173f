/**
 * ClickHouse's HTTP protocol in front of the sessions: parameters, formats, headers, errors.
 * A statement's body is read whole before it starts, and an answer is made whole before it is sent.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { ChdbResult, RawInsertFormat } from 'chdb';
import { EngineError, httpStatus, toEngineError } from './errors.ts';
import type { Gate } from './gate.ts';
import { type Handshake, SETTINGS_ALLOWED } from './handshake.ts';
import { type Kind, runOn, type Sessions } from './sessions.ts';
import { readStatement, type Statement } from './statement.ts';
import { type Users, type Who, whoIs } from './users.ts';

export interface FrontOptions {
  sessions: Sessions;
  gate: Gate;
  handshake: Handshake;
  users: Users;
}

const BODY_BYTES_MAX = 64 * 1024 * 1024;
const UNPACKED_BYTES_MAX = 256 * 1024 * 1024;
/** As a ClickHouse server: parameters are part of the address, and may be long lists. */
const HEADER_BYTES_MAX = 1024 * 1024;
const CONNECTIONS_MAX = 256;
const REQUEST_MS_MAX = 60_000;
/** Killed query ids that are remembered: of the newest, the inserts may still be arriving. */
const KILLED_MAX = 1_000;

const INSERT_FORMATS: Record<string, RawInsertFormat> = {
  jsoneachrow: 'JSONEachRow',
  jsoncompacteachrow: 'JSONCompactEachRow',
  tabseparated: 'TabSeparated',
  tsv: 'TabSeparated',
  tabseparatedwithnames: 'TabSeparatedWithNames',
  tsvwithnames: 'TabSeparatedWithNames',
  csv: 'CSV',
  csvwithnames: 'CSVWithNames',
};

interface Front extends FrontOptions {
  killed: Set<string>;
}

export function createFront(options: FrontOptions): Server {
  const front: Front = { ...options, killed: new Set() };
  const server = createServer(
    {
      requestTimeout: REQUEST_MS_MAX,
      headersTimeout: 10_000,
      keepAliveTimeout: 30_000,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => {
      handle(front, request, response).catch((error: unknown) => sendError(response, error));
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

async function handle(o: Front, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://engine');
  if (
    url.pathname === '/ping' ||
    (url.pathname === '/' && request.method === 'GET' && url.search === '')
  ) {
    response.writeHead(200, { 'content-type': 'text/plain; charset=UTF-8' }).end('Ok.\n');
    return;
  }
  if (url.pathname !== '/') throw new EngineError(60, `There is nothing at ${url.pathname}`);
  const who = authenticate(o.users, request, url.searchParams);
  const body = await readBody(request);
  const fromUrl = url.searchParams.get('query');
  const text = fromUrl === null ? body.toString('utf8') : fromUrl;
  const isHead = fromUrl !== null;
  const statement = read(text);
  checkDatabase(url.searchParams.get('database') ?? request.headers['x-clickhouse-database']);
  if (statement.kind !== 'read' && (request.method === 'GET' || who === 'reader')) {
    throw new EngineError(164, 'Cannot execute query in readonly mode. (READONLY)');
  }
  const started = performance.now();
  if (statement.insert !== undefined) {
    const data = isHead
      ? body
      : body.subarray(Buffer.byteLength(text.slice(0, statement.insert.dataAt)));
    const rest = isHead
      ? Buffer.concat([Buffer.from(text.slice(statement.insert.dataAt)), data])
      : data;
    const written = await insert(o, statement, rest, queryId(url));
    sendResult(response, url, Buffer.alloc(0), { format: 'TabSeparated', written, started });
    return;
  }
  if (/^\s*KILL\s+QUERY\b/i.test(statement.sql)) rememberKilled(o.killed, statement.sql);
  const format = formatOf(statement, url, request);
  const sql =
    isHead && body.length > 0 ? { ...statement, sql: `${statement.sql}\n${body}` } : statement;
  const result = await run(o, who, sql, format, url.searchParams);
  await sendRead(request, response, url, result, format, started);
}

function read(text: string): Statement {
  try {
    return readStatement(text);
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new EngineError(62, `Syntax error: ${error.message}. (SYNTAX_ERROR)`);
    throw error;
  }
}

function authenticate(users: Users, request: IncomingMessage, query: URLSearchParams): Who {
  let name = String(request.headers['x-clickhouse-user'] ?? query.get('user') ?? '');
  let password = String(request.headers['x-clickhouse-key'] ?? query.get('password') ?? '');
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (basic !== undefined) {
    const pair = Buffer.from(basic, 'base64').toString('utf8');
    const colon = pair.indexOf(':');
    name = pair.slice(0, colon);
    password = pair.slice(colon + 1);
  }
  const who = whoIs(users, name, password);
  if (who === undefined) {
    throw new EngineError(
      516,
      `${name || 'default'}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
    );
  }
  return who;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX)
      throw new EngineError(
        307,
        `The body is larger than ${BODY_BYTES_MAX} bytes. (TOO_MANY_BYTES)`,
      );
    chunks.push(chunk);
  }
  const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
  const encoding = request.headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return body;
  if (encoding !== 'gzip')
    throw new EngineError(
      434,
      `Unknown encoding ${encoding}; gzip is taken. (UNKNOWN_COMPRESSION_METHOD)`,
    );
  return promisify(gunzip)(body, { maxOutputLength: UNPACKED_BYTES_MAX });
}

/** All sessions are in `clickstream`; another name would be wrong rather than different. */
function checkDatabase(name: string | string[] | undefined): void {
  if (name === undefined || ['', 'clickstream', 'default', 'system'].includes(String(name))) return;
  throw new EngineError(81, `Database ${String(name)} does not exist. (UNKNOWN_DATABASE)`);
}

function formatOf(statement: Statement, url: URL, request: IncomingMessage): string {
  const format =
    statement.format ??
    url.searchParams.get('default_format') ??
    request.headers['x-clickhouse-format'];
  const name = String(format ?? 'TabSeparated');
  if (!/^\w+$/.test(name)) throw new EngineError(73, `Unknown format ${name}. (UNKNOWN_FORMAT)`);
  return name;
}

async function run(
  o: FrontOptions,
  who: Who,
  statement: Statement,
  format: string,
  query: URLSearchParams,
): Promise<Uint8Array | ChdbResult> {
  const settings = readSettings(query);
  const known = o.handshake.answer(statement, format);
  if (known !== undefined) return known;
  const parameters = readParameters(statement, query);
  let kind: Kind = statement.kind === 'read' ? 'owner' : 'writer';
  if (who === 'reader') kind = settings.length > 0 ? 'reader with settings' : 'reader';
  return o.sessions.use(kind, async (session) => {
    let sql = statement.sql;
    if (who === 'reader') sql = await o.gate.pass(session, sql, parameters);
    if (settings.length > 0 && statement.kind === 'read' && /^\W*(SELECT|WITH|FROM)/i.test(sql)) {
      sql += statement.endsInSettings
        ? `, ${settings.join(', ')}`
        : ` SETTINGS ${settings.join(', ')}`;
    }
    return runOn(session, sql, format, parameters);
  });
}

/** Every placeholder must come with this request: a session may still know an older value. */
function readParameters(statement: Statement, query: URLSearchParams): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const name of statement.placeholders) {
    const value = query.get(`param_${name}`);
    if (value === null)
      throw new EngineError(456, `Substitution \`${name}\` is not set. (UNKNOWN_QUERY_PARAMETER)`);
    parameters.set(name, value);
  }
  return parameters;
}

const TRANSPORT = new Set([
  'query',
  'database',
  'session_id',
  'session_timeout',
  'session_check',
  'wait_end_of_query',
  'buffer_size',
  'compress',
  'decompress',
  'query_id',
  'quota_key',
  'role',
  'user',
  'password',
  'default_format',
  'client_protocol_version',
  'stacktrace',
  'close_session',
  'enable_http_compression',
  'http_zlib_compression_level',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'cancel_http_readonly_queries_on_client_close',
  'http_write_exception_in_output_format',
]);

function readSettings(query: URLSearchParams): string[] {
  const settings: string[] = [];
  for (const [name, value] of query) {
    if (TRANSPORT.has(name) || name.startsWith('param_')) continue;
    if (!SETTINGS_ALLOWED.has(name))
      throw new EngineError(
        115,
        `Setting ${name} is neither a builtin setting nor started with the prefix 'SQL_' registered for user-defined settings. (UNKNOWN_SETTING)`,
      );
    settings.push(`${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`);
  }
  return settings;
}

/** chDB ends what runs; what has not begun is refused by its id. */
function rememberKilled(killed: Set<string>, sql: string): void {
  for (const [, id = ''] of sql.matchAll(/'([\w.:-]+)'/g)) killed.add(id);
  for (const id of killed) if (killed.size > KILLED_MAX) killed.delete(id);
}

async function insert(o: Front, statement: Statement, data: Buffer, id: string): Promise<number> {
  const head = statement.insert;
  const format = INSERT_FORMATS[head?.format.toLowerCase() ?? ''];
  if (head === undefined || format === undefined) {
    throw new EngineError(
      73,
      `The engine inserts JSONEachRow, JSONCompactEachRow, TabSeparated and CSV, not ${head?.format}. (UNKNOWN_FORMAT)`,
    );
  }
  if (data.length === 0) return 0;
  const { table, columns, settings } = head;
  return o.sessions.use('writer', async (session) => {
    if (o.killed.has(id))
      throw new EngineError(394, `Query ${id} was cancelled. (QUERY_WAS_CANCELLED)`);
    const rows = columns.length > 0 ? { columns } : {};
    const summary = await session.insert({ table, format, values: data, settings, ...rows });
    return 'rowsSent' in summary ? (summary.rowsSent ?? 0) : 0;
  });
}

async function sendRead(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  result: Uint8Array | ChdbResult,
  format: string,
  started: number,
): Promise<void> {
  const bytes = result instanceof Uint8Array ? result : result.bytes();
  const wantsGzip =
    /\bgzip\b/.test(String(request.headers['accept-encoding'])) &&
    url.searchParams.get('enable_http_compression') !== '0';
  const isGzip = wantsGzip && bytes.length > 1024;
  const body = isGzip ? await promisify(gzip)(bytes, { level: 1 }) : bytes;
  if (isGzip) response.setHeader('content-encoding', 'gzip');
  const rows = result instanceof Uint8Array ? 0 : result.rowsRead;
  sendResult(response, url, body, { format, written: 0, started, rows });
}

interface Sent {
  format: string;
  written: number;
  started: number;
  rows?: number;
}

function sendResult(response: ServerResponse, url: URL, body: Uint8Array, sent: Sent): void {
  const zero = { read_rows: '0', read_bytes: '0', total_rows_to_read: '0', written_bytes: '0' };
  const summary = {
    ...zero,
    written_rows: String(sent.written),
    result_rows: String(sent.rows ?? sent.written),
    result_bytes: String(body.length),
    elapsed_ns: String(Math.round((performance.now() - sent.started) * 1e6)),
  };
  response.writeHead(200, {
    'content-type': contentType(sent.format),
    'content-length': body.length,
    'x-clickhouse-query-id': queryId(url),
    'x-clickhouse-format': sent.format,
    'x-clickhouse-timezone': 'UTC',
    'x-clickhouse-server-display-name': 'clickstream',
    'x-clickhouse-summary': JSON.stringify(summary),
  });
  response.end(body);
}

function queryId(url: URL): string {
  return (url.searchParams.get('query_id') ?? randomUUID())
    .replaceAll(/[^\w.:-]/g, '_')
    .slice(0, 128);
}

function contentType(format: string): string {
  if (/^JSON(Compact|Strings|Columns)?/.test(format)) return 'application/json; charset=UTF-8';
  if (/^(TabSeparated|TSV)/.test(format)) return 'text/tab-separated-values; charset=UTF-8';
  if (/^CSV/.test(format)) return 'text/csv; charset=UTF-8; header=absent';
  if (/^(Native|RowBinary|Arrow|Parquet)/.test(format)) return 'application/octet-stream';
  return 'text/plain; charset=UTF-8';
}

function sendError(response: ServerResponse, thrown: unknown): void {
  const error = toEngineError(thrown);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = `Code: ${error.code}. DB::Exception: ${error.message}\n`;
  const headers: Record<string, string | number> = {
    'content-type': 'text/plain; charset=UTF-8',
    'content-length': Buffer.byteLength(body),
    'x-clickhouse-exception-code': error.code,
  };
  if (!response.req.complete) headers.connection = 'close';
  response.writeHead(httpStatus(error.code), headers).end(body);
}
