/**
 * What goes back to the asker: the bytes of the engine in the shape that was asked for, with
 * ClickHouse's headers, or its errors. An answer is made whole before it is sent.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { ChdbResult } from 'chdb';
import { toBlocks } from './compressed.ts';
import { httpStatus, toEngineError } from './errors.ts';
import { toNewNative, wantsNewNative } from './native.ts';

/** An asker that takes nothing of its answer for this long gets no more. */
const SILENT_MS_MAX = 60_000;

export interface Unsent {
  /** Bytes of answers that their askers have not taken yet. */
  unsentBytes: number;
}

interface Sent {
  query: URLSearchParams;
  format: string;
  started: number;
  written: number;
  rows: number;
}

export async function sendRead(
  front: Unsent,
  request: IncomingMessage,
  response: ServerResponse,
  { result, ...sent }: Omit<Sent, 'rows' | 'written'> & { result: Uint8Array | ChdbResult },
): Promise<void> {
  const bytes = await shaped(result instanceof Uint8Array ? result : result.bytes(), sent);
  const wantsGzip =
    /\bgzip\b/.test(String(request.headers['accept-encoding'])) &&
    sent.query.get('enable_http_compression') !== '0';
  const isGzip = wantsGzip && bytes.length > 1024;
  const body = isGzip ? await promisify(gzip)(bytes, { level: 1 }) : bytes;
  if (isGzip) response.setHeader('content-encoding', 'gzip');
  const rows = result instanceof Uint8Array ? 0 : result.rowsRead;
  send(front, response, body, { ...sent, rows, written: 0 });
}

/** Some clients read a newer Native than the engine's, and blocks instead of an encoding. */
async function shaped(
  bytes: Uint8Array,
  { query, format }: Pick<Sent, 'query' | 'format'>,
): Promise<Uint8Array> {
  const isNewNative = format === 'Native' && wantsNewNative(query.get('client_protocol_version'));
  const native = isNewNative ? toNewNative(bytes) : bytes;
  return query.get('compress') === '1' ? toBlocks(native) : native;
}

export function send(front: Unsent, response: ServerResponse, body: Uint8Array, sent: Sent): void {
  const { query, format, rows, written, started } = sent;
  if (response.destroyed) return;
  const zero = { read_rows: '0', read_bytes: '0', total_rows_to_read: '0', written_bytes: '0' };
  const summary = {
    ...zero,
    written_rows: String(written),
    result_rows: String(rows),
    result_bytes: String(body.length),
    elapsed_ns: String(Math.round((performance.now() - started) * 1e6)),
  };
  response.writeHead(200, {
    'content-type': contentType(format),
    'content-length': body.length,
    'x-clickhouse-query-id': queryId(query),
    'x-clickhouse-format': format,
    'x-clickhouse-timezone': 'UTC',
    'x-clickhouse-server-display-name': 'clickstream',
    'x-clickhouse-summary': JSON.stringify(summary),
  });
  front.unsentBytes += body.length;
  response.once('close', () => {
    front.unsentBytes -= body.length;
  });
  response.setTimeout(SILENT_MS_MAX, () => response.destroy());
  response.end(body);
}

export function queryId(query: URLSearchParams): string {
  return (query.get('query_id') ?? randomUUID()).replaceAll(/[^\w.:-]/g, '_').slice(0, 128);
}

function contentType(format: string): string {
  if (/^JSON(Compact|Strings|Columns)?/.test(format)) return 'application/json; charset=UTF-8';
  if (/^(TabSeparated|TSV)/.test(format)) return 'text/tab-separated-values; charset=UTF-8';
  if (/^CSV/.test(format)) return 'text/csv; charset=UTF-8; header=absent';
  if (/^(Native|RowBinary|Arrow|Parquet)/.test(format)) return 'application/octet-stream';
  return 'text/plain; charset=UTF-8';
}

export function sendError(response: ServerResponse, thrown: unknown): void {
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
