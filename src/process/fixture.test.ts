/**
 * The records of fixtures/records.ndjson become the rows of fixtures/rows.ndjson, byte for byte: the
 * same two files that a processor in another language is held to.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readLines, readRows } from '../../fixtures/lines.ts';
import { PARTITIONS, processLines } from '../../fixtures/process-lines.ts';
import { openTestEngine, type TestEngine } from '../engine/test-engine.ts';
import { partitionOf } from '../log/partition-of.ts';
import { createClickHouseStore } from '../store/clickhouse.ts';
import type { Store } from '../store/store.ts';
import { decode } from './batch.ts';
import { COLUMNS } from './row.ts';

const lines = readLines();
const rows = readRows();
let engine: TestEngine;
let store: Store;
let made: string[];

before(async () => {
  engine = await openTestEngine();
  const { url, owner } = engine.engine;
  const { name: user, password } = owner;
  store = createClickHouseStore({ url, user, password, database: 'clickstream' });
  await store.migrate();
  // Few ids in memory, so that the store is asked, and batches that are decided a second time.
  made = await processLines(lines, store, { idsInMemory: 10, isTriedTwice: true });
});

after(async () => {
  await store.close();
  await engine.close();
});

test('every record of the fixture becomes its row, byte for byte', () => {
  assert.equal(lines.length, rows.length);
  const at = rows.findIndex((row, i) => row !== made[i]);
  const record = lines[at]?.bytes.toString().slice(0, 1_000);
  assert.equal(made[at], rows[at], `line ${at + 1} of rows.ndjson, of the record ${record}`);
});

test('every record of the fixture that has a key lies in the partition of its key', () => {
  for (const { bytes, timeMs, log_offset, log_partition, log_id } of lines) {
    const { key } = decode({ offset: log_offset, timeMs, bytes });
    if (key !== '') assert.equal(log_partition, partitionOf(key, PARTITIONS[log_id] ?? 1), key);
  }
});

test('the store holds each row of the fixture once, as what it says', async () => {
  const counts = Map.groupBy(rows, (row) => String((JSON.parse(row) as unknown[])[0]));
  const expected = [...counts].map(([outcome, { length: count }]) => ({ outcome, count }));
  const found = await store.select<{ outcome: string; count: number }>(
    `SELECT CAST(outcome, 'String') AS outcome, count() AS count FROM records GROUP BY outcome ORDER BY outcome`,
  );
  assert.deepEqual(
    found,
    expected.sort((a, b) => a.outcome.localeCompare(b.outcome)),
  );
});

test('the store gives back of every stored row of the fixture what the row holds', async () => {
  const found = await store.select<Record<string, unknown>>(
    'SELECT * FROM records ORDER BY log_id, log_partition, log_offset',
  );
  const byPlace = new Map(
    found.map((row) => [`${row.log_id} ${row.log_partition} ${row.log_offset}`, row]),
  );
  for (const text of rows) {
    const values = JSON.parse(text) as unknown[];
    const row = Object.fromEntries(COLUMNS.map((name, i) => [name, values[i]]));
    const { log_id, log_partition, log_offset } = row;
    const stored = byPlace.get(`${log_id} ${log_partition} ${log_offset}`) ?? {};
    for (const name of COLUMNS) assert.deepEqual(stored[name], row[name], `${name} of ${text}`);
  }
});
