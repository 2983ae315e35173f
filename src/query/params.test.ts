/** What a question may be asked with: everything else is refused with what is allowed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../base/errors.ts';
import { intervalOf, readParams } from './params.ts';

const NOW_MS = Date.UTC(2026, 10, 24, 12);
const read = (query: string, project = 'shop') =>
  readParams(project, new URLSearchParams(query), NOW_MS);

test('a parameter that is not allowed is refused by its name', () => {
  for (const [query, field] of [
    ['colour=red', 'colour'],
    ['range=fortnight', 'range'],
    ['range=constructor', 'range'],
    ['range=__proto__', 'range'],
    ['interval=toString', 'interval'],
    ['interval=second', 'interval'],
    ['from=yesterday', 'from'],
    ['from=2026-13-01', 'from'],
    ['from=2026-11-24T25:00', 'from'],
    ['from=1999-12-31', 'from'],
    ['to=-5', 'to'],
    ['to=99999-01-01', 'to'],
    ['from=2026-11-25&to=2026-11-24', 'from'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=0x10', 'limit'],
    ['limit=', 'limit'],
    ['bots=some', 'bots'],
    ['zone=Mars/Base', 'zone'],
    ["zone=UTC'", 'zone'],
    ['format=xml', 'format'],
    ['f=path', 'f'],
    ['f=path:is', 'f'],
    ['f=password:is:x', 'f'],
    ['f=path:like:x', 'f'],
    ['f=path:is:%00', 'f'],
    [`f=path:is:${'x'.repeat(1_025)}`, 'f'],
    [`${'f=path:is:x&'.repeat(21)}`, 'f'],
  ] as const) {
    assert.throws(() => read(query), { code: 'bad_request', field }, query);
  }
  for (const project of ['x'.repeat(65), 'a\0b']) {
    assert.throws(() => read('', project), { code: 'bad_request', field: 'project' });
  }
});

test('a time is milliseconds or ISO 8601, and without a zone in UTC wherever this runs', () => {
  for (const text of [
    `${NOW_MS - 3_600_000}`,
    '2026-11-24T11:00:00Z',
    '2026-11-24T11:00',
    '2026-11-24 11:00:00.000',
    '2026-11-24T12:00:00%2B01:00',
  ]) {
    assert.equal(read(`from=${text}`).fromMs, NOW_MS - 3_600_000, text);
  }
  assert.equal(read('from=2026-11-24').fromMs, Date.UTC(2026, 10, 24));
});

test('a zone is given to the store by the name that it knows', () => {
  assert.equal(read('zone=europe/berlin').zone, 'Europe/Berlin');
  assert.equal(read('zone=utc').zone, 'UTC');
});

test('filters of one field and operator are any of, different ones all of', () => {
  const { filters } = read('f=path:is:/a&f=path:is:/b:c&f=path:is_not:/d');
  assert.deepEqual(filters, [
    { field: 'path', operator: 'is', values: ['/a', '/b:c'] },
    { field: 'path', operator: 'is_not', values: ['/d'] },
  ]);
});

test('whatever is asked is read, or refused as a bad request', (t) => {
  const seed = Number(process.env.CLICKSTREAM_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const name = fc.constantFrom('range', 'from', 'to', 'zone', 'interval', 'limit', 'bots', 'f');
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('all', '24h', 'day', 'minute', '2026-11-24', 'Europe/Berlin', 'valueOf'),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (pairs) => {
      try {
        const asked = readParams('shop', new URLSearchParams(pairs), NOW_MS);
        assert.match(intervalOf(asked, asked.fromMs ?? NOW_MS - 1), /^INTERVAL \d+ [A-Z]+$/);
        assert.ok(Number.isSafeInteger(asked.fromMs ?? 0) && Number.isSafeInteger(asked.toMs));
        assert.ok(asked.limit >= 1 && asked.limit <= 1_000);
      } catch (error) {
        assert.ok(error instanceof AppError && error.code === 'bad_request', String(error));
      }
    }),
    { seed },
  );
});
