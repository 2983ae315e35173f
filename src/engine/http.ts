/**
 * ClickHouse's HTTP protocol in front of the sessions: whose statement it is, in which format it is
 * answered, and on which session it runs. Its body is read whole before it starts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ChdbResult, RawInsertFormat, Session } from 'chdb';
import { confirmWrites } from './disk-watch.ts';
import { EngineError, toEngineError } from './errors.ts';
import type { Gate } from './gate.ts';
import type { Handshake } from './handshake.ts';
import {
  type Asked,
  authenticate,
  checkDatabase,
  readParameters,
  readRequest,
  readSettings,
} from './request.ts';
import { queryId, send, sendError, sendRead, type Unsent } from './response.ts';
import { bind, type Kind, type ReaderLimits, type Sessions } from './sessions.ts';
import { firstWord, readStatement, type Statement } from './statement.ts';
import type { Users, Who } from './users.ts';

export interface FrontOptions {
  sessions: Sessions;
  gate: Gate;
  handshake: Handshake;
  users: Users;
  limits: ReaderLimits;
  /** Called when a statement has not ended long after its time: nothing else ends it. */
  onStuck: () => void;
  /** Called with each error of a statement of the owner's. */
  onError: (error: EngineError) => void;
}

interface Front extends FrontOptions, Unsent {
  /** Connections on which the owner has not spoken, oldest first. */
  strangers: Set<Socket>;
  killed: Set<string>;
}

/** As long as the engine takes (`max_query_size`); the data of an INSERT do not count. */
const STATEMENT_BYTES_MAX = 262_144;
const STRANGERS_MAX = 256;
/** Killed query ids that are remembered: of the newest, the inserts may still be arriving. */
const KILLED_MAX = 1_000;
const UNSENT_BYTES_MAX = 256 * 1024 * 1024;
const HEADERS_MS_MAX = 10_000;
/** Parameters are part of the address, and may be long lists. */
const HEADER_BYTES_MAX = 128 * 1024;
/** An insert is bounded, so that one which takes this long will never end. */
const INSERT_MS_MAX = 120_000;
/** The engine looks at its clock between blocks only, and a block may take long: up to here. */
const readMsMax = (limits: ReaderLimits): number => 1_000 + limits.max_execution_time * 1_500;
const REQUEST_MS_MAX = 60_000;

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

export function createFront(options: FrontOptions): Server {
  const front: Front = { ...options, unsentBytes: 0, strangers: new Set(), killed: new Set() };
  const { strangers } = front;
  const server = createServer(
    {
      requestTimeout: REQUEST_MS_MAX,
      headersTimeout: HEADERS_MS_MAX,
      keepAliveTimeout: 30_000,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => {
      handle(front, request, response).catch((error: unknown) => sendError(response, error));
    },
  );
  // A limit for everybody would let strangers keep the owner out.
  server.on('connection', (socket) => {
    strangers.add(socket);
    socket.once('close', () => strangers.delete(socket));
    const [oldest] = strangers;
    if (strangers.size > STRANGERS_MAX) oldest?.destroy();
  });
  return server;
}

async function handle(
  front: Front,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = URL.parse(request.url ?? '/', 'http://engine');
  const isRoot = url?.pathname === '/';
  if (url?.pathname === '/ping' || (isRoot && request.method === 'GET' && url.search === '')) {
    response.writeHead(200, { 'content-type': 'text/plain; charset=UTF-8' }).end('Ok.\n');
    return;
  }
  if (!isRoot) throw new EngineError(60, `There is nothing at ${url?.pathname}`);
  const user = authenticate(front.users, request, url.searchParams);
  if (user === 'owner') front.strangers.delete(request.socket);
  // Only POST may change anything, whoever sends it.
  const who = request.method === 'POST' ? user : 'reader';
  const asked = await readRequest(request, url.searchParams, who);
  const { query } = asked;
  checkDatabase(query.get('database') ?? request.headers['x-clickhouse-database']);
  try {
    await answer(front, request, response, asked);
  } catch (error) {
    if (who === 'owner') front.onError(toEngineError(error));
    throw error;
  }
}

async function answer(
  front: Front,
  request: IncomingMessage,
  response: ServerResponse,
  asked: Asked,
): Promise<void> {
  const { who, query, body } = asked;
  const started = performance.now();
  const written = query.get('query');
  const head = written ?? body.toString('utf8', 0, STATEMENT_BYTES_MAX);
  let statement = read(head);
  if (statement.insert !== undefined && who === 'owner') {
    const { dataAt } = statement.insert;
    const data =
      written === null
        ? body.subarray(Buffer.byteLength(head.slice(0, dataAt)))
        : Buffer.concat([Buffer.from(head.slice(dataAt)), body]);
    const rows = await insert(front, statement, data, { response, id: queryId(query) });
    send(front, response, Buffer.alloc(0), {
      query,
      format: 'TabSeparated',
      rows,
      written: rows,
      started,
    });
    return;
  }
  if (Buffer.byteLength(written ?? '') + body.length > STATEMENT_BYTES_MAX)
    throw new EngineError(62, 'Syntax error: Max query size exceeded. (SYNTAX_ERROR)');
  if (written !== null && body.length > 0) statement = read(`${written}\n${body.toString('utf8')}`);
  if (statement.kind !== 'read' && who === 'reader')
    throw new EngineError(
      164,
      `${firstWord(statement.sql) || 'An empty statement'} is not allowed for this user: it may only read. (READONLY)`,
    );
  if (front.unsentBytes > UNSENT_BYTES_MAX && who === 'reader')
    throw new EngineError(
      202,
      'Too many answers wait to be taken. (TOO_MANY_SIMULTANEOUS_QUERIES)',
    );
  if (/^\s*KILL\s+QUERY\b/i.test(statement.sql)) rememberKilled(front.killed, statement.sql);
  const format = formatOf(statement, query, request);
  const result = await run(front, asked, statement, format, response);
  await sendRead(front, request, response, { query, result, format, started });
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

function formatOf(statement: Statement, query: URLSearchParams, request: IncomingMessage): string {
  const format =
    statement.format ?? query.get('default_format') ?? request.headers['x-clickhouse-format'];
  const name = String(format ?? 'TabSeparated');
  if (!/^\w+$/.test(name)) throw new EngineError(73, `Unknown format ${name}. (UNKNOWN_FORMAT)`);
  return name;
}

async function run(
  front: Front,
  { who, query }: Asked,
  statement: Statement,
  format: string,
  response: ServerResponse,
): Promise<Uint8Array | ChdbResult> {
  const settings = readSettings(query, who === 'reader' ? front.limits : undefined);
  const known = front.handshake.answer(statement, format);
  if (known !== undefined) return known;
  let kind: Kind = statement.kind === 'read' ? 'owner' : 'writer';
  if (who === 'reader') kind = settings.length > 0 ? 'reader with settings' : 'reader';
  return front.sessions.use(kind, async (session) => {
    stopIfGone(response);
    stopIfKilled(front, queryId(query));
    const answer = ask(front, who, session, { statement, query, settings, format });
    if (who === 'reader') return endsWithin(front, readMsMax(front.limits), answer);
    const result = await answer;
    if (kind === 'writer') await confirmWrites(session);
    return result;
  });
}

interface Question {
  statement: Statement;
  query: URLSearchParams;
  settings: string[];
  format: string;
}

async function ask(
  front: Front,
  who: Who,
  session: Session,
  { statement, query, settings, format }: Question,
): Promise<ChdbResult> {
  const { sql, endsInSettings } =
    who === 'owner'
      ? await bound(session, statement, query)
      : await passed(front.gate, session, statement, query);
  const takesSettings = statement.kind === 'read' && /^\W*(SELECT|WITH|FROM)/i.test(sql);
  const more = `${endsInSettings ? ',' : ' SETTINGS'} ${settings.join(', ')}`;
  return session.queryAsync(settings.length > 0 && takesSettings ? sql + more : sql, { format });
}

async function bound(
  session: Session,
  statement: Statement,
  query: URLSearchParams,
): Promise<Statement> {
  await bind(session, readParameters(statement.placeholders, query));
  return statement;
}

/** The placeholders are read from the normalised text, where nothing can hide them. */
async function passed(
  gate: Gate,
  session: Session,
  statement: Statement,
  query: URLSearchParams,
): Promise<Statement> {
  const normal = await bound(
    session,
    readStatement(await gate.normalise(session, statement.sql)),
    query,
  );
  await gate.check(session, normal.sql);
  return normal;
}

async function endsWithin<T>(front: Front, ms: number, work: Promise<T>): Promise<T> {
  const timer = setTimeout(front.onStuck, ms);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** Who has gone away waits for nothing; and an insert that nobody waits for must not start. */
function stopIfGone(response: ServerResponse): void {
  if (response.destroyed) throw new EngineError(394, 'Query was cancelled. (QUERY_WAS_CANCELLED)');
}

function stopIfKilled({ killed }: Front, id: string): void {
  if (killed.has(id))
    throw new EngineError(394, `Query ${id} was cancelled. (QUERY_WAS_CANCELLED)`);
}

/** chDB ends what runs; what has not begun is refused by its id. */
function rememberKilled(killed: Set<string>, sql: string): void {
  for (const [, id = ''] of sql.matchAll(/'([\w.:-]+)'/g)) killed.add(id);
  for (const id of killed) if (killed.size > KILLED_MAX) killed.delete(id);
}

async function insert(
  front: Front,
  statement: Statement,
  data: Buffer,
  { response, id }: { response: ServerResponse; id: string },
): Promise<number> {
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
  return front.sessions.use('writer', async (session) => {
    stopIfGone(response);
    stopIfKilled(front, id);
    const rows = columns.length > 0 ? { columns } : {};
    const inserted = session.insert({ table, format, values: data, settings, ...rows });
    const summary = await endsWithin(front, INSERT_MS_MAX, inserted);
    await confirmWrites(session);
    return 'rowsSent' in summary ? (summary.rowsSent ?? 0) : 0;
  });
}
