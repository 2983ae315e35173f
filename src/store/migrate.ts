/**
 * Brings the schema up to date: the numbered files of schema/ in order, each once, recorded in the
 * table `migrations`. Every statement of a file may run again: a crash between statement and record
 * is repaired by the next start.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../base/errors.ts';

interface Applied {
  number: number;
  sha256: string;
}

const FOLDER = join(import.meta.dirname, 'schema');

const MIGRATIONS = `CREATE TABLE IF NOT EXISTS migrations (number UInt32, name String, sha256 String, applied_at DateTime('UTC') DEFAULT now())
  ENGINE = MergeTree ORDER BY number
  SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1, old_parts_lifetime = 480`;

/** @throws AppError `data_newer` when the database knows a number that these files do not have. */
export async function migrate(
  command: (sql: string) => Promise<void>,
  select: (sql: string) => Promise<Applied[]>,
): Promise<void> {
  await command(MIGRATIONS);
  const applied = new Map(
    (await select('SELECT number, sha256 FROM migrations')).map((row) => [row.number, row.sha256]),
  );
  const files = schemaFiles();
  const known = new Set(files.map((name) => Number(name.slice(0, 3))));
  const newer = [...applied.keys()].filter((number) => !known.has(number));
  if (newer.length > 0) {
    throw new AppError(
      'data_newer',
      `The store has schema change ${newer.join(', ')}, which this version does not know; start the newer version.`,
    );
  }
  for (const name of files) {
    const number = Number(name.slice(0, 3));
    const text = readFileSync(join(FOLDER, name), 'utf8');
    const sha256 = createHash('sha256').update(text).digest('hex');
    const before = applied.get(number);
    if (before === sha256) continue;
    if (before !== undefined) {
      throw new AppError(
        'data_newer',
        `The schema change ${name} was applied with another text; a change that was applied is never edited.`,
      );
    }
    for (const statement of splitStatements(text)) await command(statement);
    await command(
      `INSERT INTO migrations (number, name, sha256) VALUES (${number}, '${name}', '${sha256}')`,
    );
  }
}

/** The statements of all files in order, as one server takes them. */
export function schemaStatements(): string[] {
  const of = (name: string) => splitStatements(readFileSync(join(FOLDER, name), 'utf8'));
  return [MIGRATIONS, ...schemaFiles().flatMap(of)];
}

function schemaFiles(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => /^\d{3}_.*\.sql$/.test(name))
    .sort();
}

/** Statements of a file: split at `;` at the end of a line, comments taken out. */
function splitStatements(text: string): string[] {
  return text
    .replaceAll(/^\s*--.*$/gm, '')
    .split(/;\s*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
