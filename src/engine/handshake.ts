/**
 * The first questions of every driver's connection, answered from memory: a chart must not pay for
 * them. The list of settings is short on purpose: only what this front honours is offered.
 */
import { SETTINGS_ALLOWED } from './request.ts';
import type { Sessions } from './sessions.ts';
import type { Statement } from './statement.ts';

export interface Handshake {
  /** The bytes of a known first question in this format; undefined for any other statement. */
  answer(statement: Statement, format: string): Promise<Uint8Array> | undefined;
}

/** As they are asked, and what is asked of the engine for them, if that is something else. */
const QUESTIONS = new Map([
  // Python: clickhouse-connect, and Superset with it.
  ['SELECT version(), timezone()', ''],
  ['SELECT 1 AS check', ''],
  ['SELECT currentDatabase()', ''],
  // Go, and Grafana with it. The name of the display is the machine's, which is nobody's business.
  [
    'SELECT displayName(), version(), revision(), timezone()',
    "SELECT 'clickstream' AS `displayName()`, version(), revision(), timezone()",
  ],
  ['SELECT timeZone()', ''],
  ['SELECT version()', ''],
  // Java.
  ['SELECT version() as server_version', ''],
  ['SELECT timezone()', ''],
  ['SELECT 1', ''],
]);
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
      if ((!isSettings && !QUESTIONS.has(asked)) || !FORMATS.includes(format)) return undefined;
      const sql = isSettings ? settingsSql : QUESTIONS.get(asked) || asked;
      const key = `${isSettings ? 'settings' : asked} ${format}`;
      const known = cache.get(key);
      if (known !== undefined) return known;
      const made = sessions.use('owner', async (session) => {
        const result = await session.queryAsync(sql, { format });
        return Uint8Array.from(result.bytes());
      });
      cache.set(key, made);
      made.catch(() => cache.delete(key));
      return made;
    },
  };
}
