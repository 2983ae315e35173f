/**
 * The first questions of every driver's connection, answered from memory: a chart must not pay for
 * them. The list of settings is short on purpose: only what this front honours is offered.
 */
import type { Sessions } from './sessions.ts';
import type { Statement } from './statement.ts';

/** Settings a caller may send beside the SQL. */
export const SETTINGS_ALLOWED = new Set([
  'max_execution_time',
  'max_result_rows',
  'max_result_bytes',
  'max_rows_to_read',
  'max_block_size',
  'max_threads',
  'result_overflow_mode',
  'timeout_overflow_mode',
  'extremes',
  'limit',
  'offset',
  'join_use_nulls',
  'session_timezone',
  'group_by_overflow_mode',
  'max_rows_to_group_by',
  'date_time_input_format',
  'date_time_output_format',
  'cast_string_to_dynamic_use_inference',
  'output_format_json_quote_64bit_integers',
  'output_format_json_quote_decimals',
  'output_format_json_quote_denormals',
  'output_format_json_named_tuples_as_objects',
  'output_format_native_encode_types_in_binary_format',
  'output_format_csv_crlf_end_of_line',
  'output_format_decimal_trailing_zeros',
  'output_format_write_statistics',
  'use_uncompressed_cache',
  'optimize_read_in_order',
  'count_distinct_implementation',
]);

export interface Handshake {
  /** The bytes of a known first question in this format; undefined for any other statement. */
  answer(statement: Statement, format: string): Promise<Uint8Array> | undefined;
}

const QUESTIONS = [
  'SELECT version(), timezone()',
  'SELECT version()',
  'SELECT timezone()',
  'SELECT 1',
  'SELECT 1 AS check',
  'SELECT currentDatabase()',
];
const SETTINGS_QUESTION =
  /^SELECT name, value, (?:readonly|readonly as readonly) FROM system\.settings LIMIT \d+$/i;

/** Formats of which an answer is kept: those that drivers ask in. */
const FORMATS = [
  'Native',
  'TabSeparated',
  'JSON',
  'JSONEachRow',
  'TabSeparatedWithNamesAndTypes',
  'RowBinaryWithNamesAndTypes',
  'JSONCompact',
];

export function createHandshake(sessions: Sessions): Handshake {
  const cache = new Map<string, Promise<Uint8Array>>();
  const names = [...SETTINGS_ALLOWED].map((name) => `'${name}'`).join(', ');
  const settingsSql = `SELECT name, value, toUInt8(0) AS readonly FROM system.settings WHERE name IN (${names})`;
  return {
    answer(statement, format) {
      const asked = statement.sql.trim();
      const isSettings = SETTINGS_QUESTION.test(asked);
      if ((!isSettings && !QUESTIONS.includes(asked)) || !FORMATS.includes(format))
        return undefined;
      const key = `${isSettings ? 'settings' : asked} ${format}`;
      const known = cache.get(key);
      if (known !== undefined) return known;
      const made = sessions.use('owner', async (session) => {
        const result = await session.queryAsync(isSettings ? settingsSql : asked, { format });
        return Uint8Array.from(result.bytes());
      });
      cache.set(key, made);
      made.catch(() => cache.delete(key));
      return made;
    },
  };
}
