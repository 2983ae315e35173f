/**
 * The HTTP server under the collector, the API and the pages: a table of routes over `node:http`,
 * with limits, and errors as one JSON shape. No framework: routing is not where the time goes,
 * and every limit of a public collector must be in view.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { AppError, errorBody } from './errors.ts';
import type { Logger } from './logger.ts';

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  /** Values of the `:name` parts of the route's path. */
  params: Readonly<Record<string, string>>;
}

export interface Route {
  /** `*` takes every method. */
  method: 'GET' | 'POST' | 'OPTIONS' | '*';
  /** Parts are literal, `:name` (one part), or a last `*` (the rest, may be empty). */
  path: string;
  /** Answers the request itself; a thrown AppError becomes its JSON answer, any other a 500. */
  handle(exchange: Exchange): Promise<void> | void;
}

export interface HttpLimits {
  headersTimeoutMs: number;
  requestTimeoutMs: number;
  connectionsMax: number;
  /** Of them, how many one address may hold, so that none can take the places of all. */
  addressConnectionsMax: number;
  headerBytesMax: number;
}

export function createHttpServer(
  routes: readonly Route[],
  limits: HttpLimits,
  logger: Logger,
): Server {
  const table = routes.map((route) => ({ ...route, parts: route.path.split('/').slice(1) }));
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      maxHeaderSize: limits.headerBytesMax,
      connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5_000),
    },
    async (request, response) => {
      try {
        const url = URL.parse(request.url ?? '/', 'http://localhost');
        if (url === null) throw new AppError('bad_request', 'The address cannot be read.');
        const found = find(table, request.method ?? 'GET', url.pathname);
        await found.route.handle({ request, response, url, params: found.params });
      } catch (error) {
        sendError(response, error, logger);
      }
    },
  );
  server.maxConnections = limits.connectionsMax;
  limitPerAddress(server, limits.addressConnectionsMax);
  return server;
}

function limitPerAddress(server: Server, connectionsMax: number): void {
  const counts = new Map<string, number>();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress ?? '';
    const count = (counts.get(address) ?? 0) + 1;
    counts.set(address, count);
    socket.on('close', () => {
      const left = (counts.get(address) ?? 0) - 1;
      if (left > 0) counts.set(address, left);
      else counts.delete(address);
    });
    if (count > connectionsMax) socket.destroy();
  });
}

type TableRow = Route & { parts: string[] };

function find(table: readonly TableRow[], method: string, pathname: string) {
  const parts = pathname.split('/').slice(1);
  const allowed = new Set<string>();
  for (const route of table) {
    const params = match(route.parts, parts);
    if (params === undefined) continue;
    // What has an address of its own is not also a part of the rest.
    if (allowed.size > 0 && route.parts.at(-1) === '*') continue;
    const answersHead = method === 'HEAD' && route.method === 'GET';
    if (route.method === '*' || route.method === method || answersHead) return { route, params };
    allowed.add(route.method);
  }
  if (allowed.size > 0) {
    const methods = [...allowed].join(', ');
    throw new AppError('method_not_allowed', `${pathname} takes ${methods}.`, { field: methods });
  }
  throw new AppError('not_found', `There is nothing at ${pathname}.`);
}

function match(pattern: readonly string[], parts: readonly string[]) {
  const params: Record<string, string> = {};
  for (const [i, wanted] of pattern.entries()) {
    if (wanted === '*') return { ...params, '*': parts.slice(i).join('/') };
    const part = parts[i];
    if (part === undefined) return undefined;
    if (wanted.startsWith(':')) params[wanted.slice(1)] = decode(part);
    else if (wanted !== part) return undefined;
  }
  return pattern.length === parts.length ? params : undefined;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new AppError('bad_request', 'The address is not valid percent encoding.', { cause });
  }
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  send(response, status, JSON.stringify(body), { 'content-type': 'application/json', ...headers });
}

export function send(
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** Answers with the error's JSON. What is not an AppError is logged and answered as `internal`. */
function sendError(response: ServerResponse, thrown: unknown, logger: Logger): void {
  let error: AppError;
  if (thrown instanceof AppError) {
    error = thrown;
  } else {
    const id = randomUUID();
    logger.error({ err: thrown, request_id: id }, 'a request failed');
    error = new AppError('internal', `A fault of this server; its log has it under ${id}.`);
  }
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (error.retryAfterS !== undefined) headers['retry-after'] = String(error.retryAfterS);
  if (error.code === 'method_not_allowed') headers.allow = error.field ?? '';
  // What is left of a refused body is not read: the connection ends with the answer.
  if (!response.req.complete) headers.connection = 'close';
  send(response, error.status, errorBody(error), headers);
}
