/**
 * Two million events of the synthetic shop, ninety days of it, sent through the collector: what an
 * event takes on disk, what all processes take in memory, and how long each question takes. On the
 * same rows: what other sorting keys, types and codecs would have cost (decision 0004).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isLive, readSqlFiles } from '../src/query/run.ts';
import type { Store } from '../src/store/store.ts';
import {
  openStore,
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
} from '../test/system.ts';
import { sendHistory, untilMerged } from './history.ts';
import { median, percentile, type Report, whole } from './report.ts';

const EVENTS = 2_000_000;
const DAYS = 90;
const QUESTION_ROUNDS = 11;
const MB = 1024 * 1024;

export async function measureStorage(): Promise<Report[]> {
  const data = await temporaryFolder('bench-storage');
  try {
    const reports = await withStore(data, {}, async (system, store) => {
      const size = await measureSize(system, store);
      const atRestBytes = await system.residentBytes();
      const questions = await measureQuestions(system);
      const memory = (name: string, bytes: number) => [
        name,
        `${whole(bytes / MB)} MB`,
        '≤ 1,024 MB',
      ];
      const rows = [
        ...size.rows,
        memory('memory at rest', atRestBytes),
        memory('memory after all questions', await system.residentBytes()),
      ];
      return [{ ...size, rows }, questions];
    });
    // To copy and merge whole tables at once takes more than the engine is given by default.
    const memory = { CLICKSTREAM_ENGINE_MEMORY_MB: '6144' };
    const tables = await withStore(data, memory, (_, store) => measureTables(store));
    return [...reports, tables];
  } finally {
    await removeFolder(data);
  }
}

async function withStore<T>(
  data: string,
  settings: Readonly<Record<string, string>>,
  work: (system: SystemProcess, store: Store) => Promise<T>,
): Promise<T> {
  const system = await startSystem(data, settings);
  const store = openStore(system);
  try {
    return await work(system, store);
  } finally {
    await store.close();
    await system.stop();
  }
}

async function measureSize(system: SystemProcess, store: Store): Promise<Report> {
  const most = watchMemory(system);
  const startMs = performance.now();
  await sendHistory(system, DAYS, EVENTS);
  const seconds = (performance.now() - startMs) / 1000;
  await untilMerged(store);
  const { rows, bytes, parts } = await sizeOf(store, 'records');
  return {
    title: 'What two million events take',
    says: `${whole(rows)} events of ${DAYS} days of the synthetic shop, sent through the collector in ${seconds.toFixed(0)} s by one sender, after the engine's own merges. Memory is the resident memory of all processes together.`,
    columns: ['', 'measured', 'goal'],
    rows: [
      ['bytes an event in the store', (bytes / rows).toFixed(1), '≤ 75'],
      ['parts', String(parts), ''],
      ['memory while they came, most', `${whole(most.stop() / MB)} MB`, '≤ 1,024 MB'],
    ],
  };
}

function watchMemory(system: SystemProcess) {
  let most = 0;
  const timer = setInterval(async () => {
    most = Math.max(most, await system.residentBytes());
  }, 250);
  return {
    stop() {
      clearInterval(timer);
      return most;
    },
  };
}

async function sizeOf(store: Store, table: string) {
  const [row] = await store.select<{ rows: number; bytes: number; parts: number }>(
    `SELECT sum(rows) AS rows, sum(bytes_on_disk) AS bytes, count() AS parts
     FROM system.parts WHERE database = currentDatabase() AND table = {table:String} AND active`,
    { table },
  );
  if (row === undefined) throw new Error(`${table} has no parts`);
  return row;
}

async function measureQuestions(system: SystemProcess): Promise<Report> {
  const rows: string[][] = [];
  for (const name of [...readSqlFiles().keys()].filter((name) => !isLive(name))) {
    const row = [name];
    for (const range of ['24h', '30d', '90d']) {
      const times: number[] = [];
      for (let round = 0; round < QUESTION_ROUNDS; round++) {
        const startMs = performance.now();
        const answer = await fetch(`${system.url}/api/projects/shop/${name}?range=${range}`);
        await answer.arrayBuffer();
        if (answer.status !== 200) throw new Error(`${name} was answered ${answer.status}`);
        times.push(performance.now() - startMs);
      }
      row.push(`${median(times).toFixed(0)} / ${percentile(times, 0.95).toFixed(0)}`);
    }
    rows.push(row);
  }
  return {
    title: 'Questions at two million events',
    says: `Time of one answer over HTTP, p50 / p95 in ms of ${QUESTION_ROUNDS} in a row, nothing cached. Distinct visitors and visits are exact.`,
    columns: ['question', '24 hours', '30 days', '90 days'],
    rows,
  };
}

interface Variant {
  name: string;
  change: (schema: string) => string;
}

const ORDER = 'ORDER BY (outcome, project_id, event_name, event_time)';

/** What 009_codecs.sql has changed, as it is now and as 001_records.sql has it. */
const CODECS: readonly [now: string, before: string][] = [
  ['session_id       String CODEC(LZ4)', 'session_id       String CODEC(ZSTD(1))'],
  [
    "event_time       DateTime64(3, 'UTC') CODEC(T64, LZ4)",
    "event_time       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))",
  ],
];

const VARIANTS: readonly Variant[] = [
  { name: 'as it is', change: (schema) => schema },
  {
    name: 'ZSTD(1) for session_id and event_time too',
    change: (schema) => CODECS.reduce((text, [now, before]) => text.replace(now, before), schema),
  },
  {
    name: 'key (outcome, project_id, event_time)',
    change: (schema) => schema.replace(ORDER, 'ORDER BY (outcome, project_id, event_time)'),
  },
  {
    name: 'key (…, toDate(event_time), event_name, session_id)',
    change: (schema) =>
      schema.replace(
        ORDER,
        'ORDER BY (outcome, project_id, toDate(event_time), event_name, session_id)',
      ),
  },
  {
    name: 'key (…, event_name, toStartOfHour(event_time), session_id, event_time)',
    change: (schema) =>
      schema.replace(
        ORDER,
        'ORDER BY (outcome, project_id, event_name, toStartOfHour(event_time), session_id, event_time)',
      ),
  },
  {
    name: 'key (log_id, log_partition, log_offset)',
    change: (schema) => schema.replace(ORDER, 'ORDER BY (log_id, log_partition, log_offset)'),
  },
  {
    name: 'LZ4 (the default codec) everywhere',
    change: (schema) => schema.replaceAll(/ CODEC\([^\n]*\)(?=,\n)/g, ''),
  },
  {
    name: 'ZSTD(3) for ZSTD(1)',
    change: (schema) => schema.replaceAll('ZSTD(1)', 'ZSTD(3)'),
  },
  {
    name: 'String for LowCardinality(String)',
    change: (schema) => schema.replaceAll('LowCardinality(String)', 'String CODEC(ZSTD(1))'),
  },
];

/** Conditions of typical questions; what they make the engine read says what a sorting key is worth. */
const READS: Readonly<Record<string, string>> = {
  'one day, all events': 'event_time >= {to} - INTERVAL 1 DAY',
  '30 days, bookings': "event_name = 'BOOKING' AND event_time >= {to} - INTERVAL 30 DAY",
  '90 days, page views': "event_name IN ('page_view', 'HOMEPAGE', 'ITEM_DETAIL', 'PROMO_PAGE')",
  '60 minutes, live': 'event_time >= {to} - INTERVAL 1 HOUR',
};

async function measureTables(store: Store): Promise<Report> {
  const file = join(import.meta.dirname, '..', 'src', 'store', 'schema', '001_records.sql');
  const first = (await readFile(file, 'utf8'))
    .replace(/^--.*\n/gm, '')
    .trim()
    .replace(/;$/, '');
  const schema = CODECS.reduce((text, [now, before]) => text.replace(before, now), first);
  const [newest] = await store.select<{ to: string }>('SELECT max(event_time) AS to FROM events');
  const rows: string[][] = [];
  for (const { name, change } of VARIANTS) {
    const table = 'variant';
    const statement = change(schema).replace(
      'CREATE TABLE IF NOT EXISTS records',
      `CREATE TABLE ${table}`,
    );
    if (name !== 'as it is' && !name.startsWith('LZ4') && change(schema) === schema)
      throw new Error(`"${name}" changes nothing`);
    await store.command(statement);
    // One value for all rows of a processor, in a column that came later.
    await store.command(`INSERT INTO ${table} SELECT * EXCEPT (owner) FROM records`);
    await store.command(`OPTIMIZE TABLE ${table} FINAL`);
    const { rows: count, bytes } = await sizeOf(store, table);
    const reads: string[] = [];
    for (const condition of Object.values(READS)) {
      const where = condition.replace('{to}', `toDateTime64('${newest?.to}', 3, 'UTC')`);
      const estimates = await store.select<{ rows: number }>(
        `EXPLAIN ESTIMATE SELECT count(session_id) FROM ${table}
         WHERE outcome = 'stored' AND project_id = 'shop' AND ${where}`,
      );
      const read = estimates.reduce((sum, { rows }) => sum + Number(rows), 0);
      reads.push(`${((read / count) * 100).toFixed(1)} %`);
    }
    rows.push([name, (bytes / count).toFixed(1), ...reads]);
    await store.command(`DROP TABLE ${table} SYNC`);
  }
  return {
    title: 'Other tables for the same rows',
    says: 'Bytes an event after a full merge, and the share of all rows that the primary key leaves to be read for the conditions of typical questions.',
    columns: ['table', 'bytes an event', ...Object.keys(READS)],
    rows,
  };
}
