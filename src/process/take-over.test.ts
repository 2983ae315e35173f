/**
 * A take-over where statements run side by side, as on a ClickHouse server: an INSERT of the owner
 * before that has passed the fence already is ended, and nothing of anybody else's.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { AppError } from '../base/errors.ts';
import { startTestServer, type TestServer } from '../store/test-server.ts';
import { createRecords } from './records.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const SETTLE_MS = 200;
const AT = { logId: 1, partition: 1 };
const code = (error: AppError): string => error.code;

/** Resolves when so many INSERTs run. */
async function untilRunning(count: number): Promise<void> {
  while (server.running().length < count) await new Promise((resolve) => setImmediate(resolve));
}

/** What becomes of an INSERT of one row, sent by a client of its own. */
function insert(database: string, at: { logId: number; partition: number }): Promise<string> {
  const records = createRecords(server.connect(database));
  return records.insert(at, ['[1]']).then(() => 'done', code);
}

test('what an earlier owner still runs is ended before a take-over resolves', async () => {
  server.hold('records');
  const inserting = insert('shop', AT);
  await untilRunning(1);
  await createRecords(server.connect('shop')).takeOver(1, [0, 1]);
  assert.deepEqual(server.running(), []);
  // It looks for its rows, and is refused when it inserts again.
  assert.equal(await inserting, 'store_ambiguous');
  const named = server.statements.map((sql) =>
    /(KILL|INSERT|SELECT).*?(owners|records)-(\d)/.exec(sql.replace(/^clickstream\S+ /, '')),
  );
  const order = named.flatMap((found) => (found === null ? [] : [`${found[1]} ${found[2]}`]));
  assert.deepEqual(order, ['KILL owners', 'SELECT owners', 'KILL records', 'SELECT records']);
});

test('inserts of other partitions, other logs and other databases are left alone', async () => {
  server.hold('records');
  const others = [
    insert('shop', { logId: 1, partition: 10 }),
    insert('shop', { logId: 11, partition: 1 }),
    insert('shop2', AT),
  ];
  await untilRunning(others.length);
  await createRecords(server.connect('shop')).takeOver(1, [1]);
  assert.equal(server.running().length, others.length);
  for (const [database, logId] of [
    ['shop', 1],
    ['shop', 11],
    ['shop2', 1],
  ] as const)
    await createRecords(server.connect(database)).takeOver(logId, [1, 10]);
  assert.deepEqual(
    await Promise.all(others),
    others.map(() => 'store_ambiguous'),
  );
});

test('a take-over that cannot end what runs says so in time, and is none', async () => {
  server.hold('records');
  insert('shop', AT);
  await untilRunning(1);
  server.killNothing();
  const records = createRecords(server.connect('shop', SETTLE_MS));
  await assert.rejects(records.takeOver(1, [1]), {
    code: 'store_ambiguous',
    message: /KILL QUERY/,
  });
  await assert.rejects(records.settle(AT), { code: 'store_ambiguous' });
  // Of another partition nothing runs.
  await records.settle({ ...AT, partition: 2 });
});

test('a user who may not KILL is told so by name of what is refused', async () => {
  server.killNothing(497);
  const records = createRecords(server.connect('shop'));
  await assert.rejects(records.takeOver(1, [1]), { code: 'store_refused', message: /Code 497/ });
});

test('each try of an insert has an id of its own, so that no server takes it for its twin', async () => {
  const records = createRecords(server.connect('shop'));
  for (let i = 0; i < 3; i++) await records.insert(AT, ['[1]']);
  const ids = server.statements.map((sql) => sql.split(' ')[0]);
  assert.equal(new Set(ids).size, 3);
  for (const id of ids) assert.match(id ?? '', /^clickstream-shop-records-1-1-[\w-]{36}$/);
});
