/**
 * Native since protocol 54454, against the engine's own: each column alone ends where its answer
 * ends, so that what a newer answer of all columns must be is put together without reading data.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openTestEngine } from './test-engine.ts';

const opened = openTestEngine();
after(async () => (await opened).close());

const COLUMNS = [
  'number',
  'toInt8(number)',
  'toUInt16(number)',
  'toInt256(number)',
  'number / 2',
  'toBFloat16(number)',
  'number = 1',
  'CAST(number AS Bool)',
  "toString(number) || repeat('ü', number * 100)",
  "toFixedString('abc', 5)",
  "toDate('2026-01-02')",
  "toDate32('1930-01-02')",
  "toDateTime('2026-01-02 03:04:05', 'Europe/Berlin')",
  "toDateTime64('2026-01-02 03:04:05.678', 3, 'UTC')",
  'toIntervalDay(number)',
  'toDecimal32(number, 2)',
  'toDecimal64(number, 2)',
  'toDecimal128(number, 2)',
  'toDecimal256(number, 2)',
  "CAST(number + 1 AS Enum8('a b' = 1, 'Tuple(x, y' = 2, '\\'' = 3))",
  "CAST(number + 1 AS Enum16('a' = 1, 'b' = 2, 'c' = 3))",
  "toUUID(concat(toString(number), repeat('0', 7), '-0000-0000-0000-000000000000'))",
  "toIPv4('1.2.3.4')",
  "toIPv6('::1')",
  'if(number = 1, NULL, number)',
  "if(number = 1, NULL, 'text')",
  'NULL',
  'toLowCardinality(toString(number % 2))',
  'toLowCardinality(if(number = 1, NULL, toString(number)))',
  'toLowCardinality(toUInt16(number))',
  'range(number)',
  '[]',
  "arrayMap(x -> if(x = 1, NULL, 'text'), range(number))",
  'arrayMap(x -> range(x), range(number))',
  'arrayMap(x -> toLowCardinality(toString(x)), range(number))',
  'CAST([] AS Array(LowCardinality(String)))',
  "(number, 'text', toLowCardinality('low'))",
  "CAST((number, 'text') AS Tuple(`a b` UInt64, c String))",
  "arrayMap(x -> (x, toLowCardinality('low'), [x]), range(number))",
  "map('key', number, toString(number), 2)",
  "CAST(map('key', ['a']) AS Map(LowCardinality(String), Array(Nullable(String))))",
] as const;

const NEWER = { query: 'client_protocol_version=54460' };
const INFO = '010002ffffffff00';
const varint = (value: number): string => Buffer.of(value).toString('hex');

/** `0x01 columns` and `0x03 rows` stand before the column's name, its type and its data. */
async function ownBytes(column: string): Promise<{ head: Buffer; data: Buffer }> {
  const { ask } = await opened;
  const sql = `SELECT ${column} AS c FROM numbers(3) FORMAT Native`;
  const { bytes, code, text } = await ask('reader', sql);
  assert.equal(code, null, text);
  assert.equal(bytes.toString('hex', 0, 4), '01030163', column);
  const dataAt = 5 + bytes.readUInt8(4);
  return { head: bytes.subarray(2, dataAt), data: bytes.subarray(dataAt) };
}

test('a newer Native has the same data behind one byte more of each column', async () => {
  const { ask } = await opened;
  let expected = INFO + varint(COLUMNS.length) + varint(3);
  for (const [i, column] of COLUMNS.entries()) {
    const { head, data } = await ownBytes(column);
    const named = Buffer.from([3, ...Buffer.from(`c${i + 10}`), ...head.subarray(2)]);
    expected += `${named.toString('hex')}00${data.toString('hex')}`;
  }
  const all = COLUMNS.map((column, i) => `${column} AS c${i + 10}`).join(', ');
  const sql = `SELECT ${all} FROM numbers(3) FORMAT Native`;
  const { bytes, code, text } = await ask('reader', sql, NEWER);
  assert.equal(code, null, text);
  assert.equal(bytes.toString('hex'), expected);
});

test('each block of a newer Native has its info', async () => {
  const { ask } = await opened;
  const sql = 'SELECT toUInt8(number) AS a FROM numbers(4) FORMAT Native';
  const query = `${NEWER.query}&max_block_size=2`;
  const { bytes } = await ask('reader', sql, { query });
  const block = (data: string) => `${INFO}010201610555496e743800${data}`;
  assert.equal(bytes.toString('hex'), block('0001') + block('0203'));
});

test('an answer without rows is empty in a newer Native too', async () => {
  const { ask } = await opened;
  const { bytes, code } = await ask('reader', 'SELECT a FROM t WHERE 0 FORMAT Native', NEWER);
  assert.equal(code, null);
  assert.equal(bytes.length, 0);
});

test('a type that cannot be stepped over is refused in words, not written wrongly', async () => {
  const { ask } = await opened;
  for (const column of ["'{}'::JSON", '1::Dynamic', '1::Variant(UInt8, String)', 'sumState(a)']) {
    const { code, text } = await ask('reader', `SELECT ${column} FROM t FORMAT Native`, NEWER);
    assert.equal(code, '48', text);
    assert.match(text, /cannot send a column of type \w+ as Native since protocol 54454/);
  }
});

test('a client of an older protocol, and another format, are answered by the engine itself', async () => {
  const { ask } = await opened;
  const query = 'client_protocol_version=54405';
  const older = await ask('reader', 'SELECT 1 AS a FORMAT Native', { query });
  assert.equal(older.bytes.toString('hex'), '010101610555496e743801');
  assert.equal((await ask('reader', 'SELECT 1 FORMAT CSV', NEWER)).text, '1\n');
});
