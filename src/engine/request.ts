/**
 * What a request asks: who it is, its body, its parameters. An address carries three kinds of
 * parameter: of the transport, `param_*` for the placeholders, and settings from a short list.
 */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { EngineError } from './errors.ts';
import { literal, type ReaderLimits } from './sessions.ts';
import { words } from './statement.ts';
import { type Users, type Who, whoIs } from './users.ts';

export interface Asked {
  who: Who;
  /** Of the address and, when the body is a form, of the form. */
  query: URLSearchParams;
  body: Buffer;
}

/** The owner inserts; a reader's body is a statement. */
const BODY_BYTES_MAX: Record<Who, number> = { owner: 64 * 1024 * 1024, reader: 1024 * 1024 };
const UNPACKED_BYTES_MAX: Record<Who, number> = { owner: 256 * 1024 * 1024, reader: 1024 * 1024 };

/** Nothing of the body is read before it is known who sends it. */
export async function readRequest(
  request: IncomingMessage,
  query: URLSearchParams,
  who: Who,
): Promise<Asked> {
  if (query.get('decompress') === '1') {
    throw new EngineError(
      48,
      'A body in compressed blocks (decompress=1) is not taken; send it plain or as gzip. (NOT_IMPLEMENTED)',
    );
  }
  const body = await unpack(request, await readBody(request, BODY_BYTES_MAX[who]), who);
  const type = request.headers['content-type'] ?? '';
  if (!/^multipart\/form-data\b/i.test(type)) return { who, query, body };
  const packed = new Response(new Uint8Array(body), { headers: { 'content-type': type } });
  const form = await packed.formData().catch((error: Error) => {
    throw new EngineError(36, `The form cannot be read: ${error.message}. (BAD_ARGUMENTS)`);
  });
  const fields = new URLSearchParams(query);
  for (const [name, value] of form) {
    if (typeof value !== 'string')
      throw new EngineError(48, `External data (${name}) is not taken. (NOT_IMPLEMENTED)`);
    if (!fields.has(name)) fields.set(name, value);
  }
  return { who, query: fields, body: Buffer.alloc(0) };
}

export function authenticate(users: Users, request: IncomingMessage, query: URLSearchParams): Who {
  let name = String(request.headers['x-clickhouse-user'] ?? query.get('user') ?? '');
  let password = String(request.headers['x-clickhouse-key'] ?? query.get('password') ?? '');
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (basic !== undefined) {
    [, name = '', password = ''] =
      /^([^:]*):([\s\S]*)$/.exec(Buffer.from(basic, 'base64').toString('utf8')) ?? [];
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

const tooLarge = (bytesMax: number): EngineError =>
  new EngineError(307, `The body is larger than ${bytesMax} bytes. (TOO_MANY_BYTES)`);

async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

async function unpack(request: IncomingMessage, body: Buffer, who: Who): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return body;
  if (encoding !== 'gzip') {
    throw new EngineError(
      434,
      `Unknown encoding ${encoding}; gzip is taken. (UNKNOWN_COMPRESSION_METHOD)`,
    );
  }
  const maxOutputLength = UNPACKED_BYTES_MAX[who];
  return promisify(gunzip)(body, { maxOutputLength }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxOutputLength);
    throw new EngineError(354, `The body is not gzip: ${error.message}. (ZLIB_INFLATE_FAILED)`);
  });
}

/** All sessions are in `clickstream`; another name would be wrong rather than different. */
export function checkDatabase(name: string | string[] | undefined): void {
  if (name === undefined || ['', 'clickstream', 'default', 'system'].includes(String(name))) return;
  throw new EngineError(81, `Database ${String(name)} does not exist. (UNKNOWN_DATABASE)`);
}

/** Every placeholder must come with this request: a session may still know an older value. */
export function readParameters(
  placeholders: readonly string[],
  query: URLSearchParams,
): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const name of placeholders) {
    const value = query.get(`param_${name}`);
    if (value === null)
      throw new EngineError(456, `Substitution \`${name}\` is not set. (UNKNOWN_QUERY_PARAMETER)`);
    parameters.set(name, value);
  }
  return parameters;
}

/** `async_insert` comes with every question of some drivers, and means nothing here. */
const TRANSPORT = new Set(
  words(`
  query database session_id session_timeout session_check wait_end_of_query buffer_size compress
  decompress query_id quota_key role user password default_format client_protocol_version
  stacktrace close_session enable_http_compression http_zlib_compression_level
  send_progress_in_http_headers http_headers_progress_interval_ms
  cancel_http_readonly_queries_on_client_close http_write_exception_in_output_format async_insert
  network_compression_method network_zstd_compression_level`),
);

/** Settings a caller may send beside the SQL; a reader's limits can only be lowered. */
export const SETTINGS_ALLOWED = new Set(
  words(`
  max_execution_time max_result_rows max_result_bytes max_memory_usage max_rows_to_read
  max_block_size max_threads result_overflow_mode timeout_overflow_mode extremes limit offset
  join_use_nulls session_timezone group_by_overflow_mode max_rows_to_group_by
  date_time_input_format date_time_output_format cast_string_to_dynamic_use_inference
  output_format_json_quote_64bit_integers output_format_json_quote_decimals
  output_format_json_quote_denormals output_format_json_named_tuples_as_objects
  output_format_native_encode_types_in_binary_format output_format_csv_crlf_end_of_line
  output_format_decimal_trailing_zeros output_format_write_statistics use_uncompressed_cache
  optimize_read_in_order count_distinct_implementation`),
);

/** `name = value` of each. `limits` is undefined for the owner. */
export function readSettings(query: URLSearchParams, limits: ReaderLimits | undefined): string[] {
  const most = new Map<string, number>(Object.entries(limits ?? {}));
  const settings: string[] = [];
  for (const [name, value] of query) {
    if (TRANSPORT.has(name) || name.startsWith('param_')) continue;
    if (!SETTINGS_ALLOWED.has(name))
      throw new EngineError(
        115,
        `Setting ${name} is neither a builtin setting nor started with the prefix 'SQL_' registered for user-defined settings. (UNKNOWN_SETTING)`,
      );
    const max = most.get(name);
    // Less than one, and what is no number, mean "no limit" to the engine, or wrap around.
    const lowered = Number(value) >= 1 ? Math.floor(Math.min(Number(value), max ?? 0)) : max;
    const used = max === undefined ? value : String(lowered);
    // As text the engine does not take some of the numbers: `limit` is one.
    settings.push(`${name} = ${/^\d+$/.test(used) ? used : literal(used)}`);
  }
  return settings;
}
