/** Every kind of field: what is read as what, and what is refused with which reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Kind } from './event.ts';
import { readerOf } from './read.ts';

type Readable = Parameters<typeof readerOf>[0];
type Case = readonly [sent: unknown, read: string | number | { refused: string }];

const refused = (reason: string) => ({ refused: reason });

function checkAll(kind: Readable, cases: readonly Case[]): void {
  const read = readerOf(kind);
  for (const [sent, expected] of cases) {
    const got = read(sent, true);
    const shown = typeof got === 'object' ? refused(got.reason) : got;
    assert.deepEqual(shown, expected, `${kind.is} ${JSON.stringify(sent)}`);
  }
}

test('a text is taken as it is, a number as its text, nothing else', () => {
  checkAll({ is: 'text', charsMax: 5 }, [
    ['abc', 'abc'],
    [' a ', ' a '],
    ['ünï😀', 'ünï😀'],
    [42, '42'],
    [-0, '0'],
    [1.5, '1.5'],
    ['abcdef', refused('too_long')],
    [123456, refused('too_long')],
    [2 ** 53, refused('out_of_range')],
    [Number.POSITIVE_INFINITY, refused('out_of_range')],
    ['a\0b', refused('bad_text')],
    ['a\ud83d', refused('bad_text')],
    [true, refused('wrong_type')],
    [['a'], refused('wrong_type')],
    [{}, refused('wrong_type')],
  ]);
});

test('an integer is a whole number in range, or its text', () => {
  checkAll({ is: 'integer', min: -10, max: 1000 }, [
    [7, 7],
    ['7', 7],
    ['+7', 7],
    ['-10', -10],
    ['007', 7],
    ['7.0', 7],
    [-0, 0],
    [1.5, refused('wrong_type')],
    ['1.5', refused('bad_format')],
    ['1e2', refused('bad_format')],
    ['0x10', refused('bad_format')],
    [' 7', refused('bad_format')],
    ['seven', refused('bad_format')],
    [1001, refused('out_of_range')],
    ['-11', refused('out_of_range')],
    ['9'.repeat(60), refused('out_of_range')],
    ['9'.repeat(65), refused('too_long')],
    [1e300, refused('out_of_range')],
    [Number.POSITIVE_INFINITY, refused('out_of_range')],
    [false, refused('wrong_type')],
  ]);
});

test('money is an exact decimal text of at most four places', () => {
  checkAll({ is: 'money' }, [
    [12, '12'],
    [12.5, '12.5'],
    ['12.50', '12.5'],
    ['0012.50', '12.5'],
    ['.5', '0.5'],
    ['5.', '5'],
    ['-3.10', '-3.1'],
    ['-0.00', '0'],
    [-0, '0'],
    ['+1', '1'],
    [0.1 + 0.2, '0.3'],
    ['0.00005', '0.0001'],
    ['0.00004', '0'],
    ['-0.00005', '-0.0001'],
    ['1e3', '1000'],
    [1e-7, '0'],
    ['1e-9999', '0'],
    ['0e9999', '0'],
    ['99999999999999.9999', '99999999999999.9999'],
    ['99999999999999.99999', refused('out_of_range')],
    ['100000000000000', refused('out_of_range')],
    ['1e9999', refused('out_of_range')],
    [1e300, refused('out_of_range')],
    [Number.POSITIVE_INFINITY, refused('out_of_range')],
    ['12,50', refused('bad_format')],
    ['$1', refused('bad_format')],
    ['.', refused('bad_format')],
    ['NaN', refused('bad_format')],
    ['1'.repeat(65), refused('too_long')],
    [[1], refused('wrong_type')],
  ]);
});

test('money of two places comes back as the same number', (t) => {
  const read = readerOf({ is: 'money' });
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  fc.assert(
    fc.property(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), (cents) => {
      assert.equal(Number(read(cents / 100, false)), cents / 100);
    }),
    { seed },
  );
});

test('a time is milliseconds since 1970, or ISO 8601, UTC unless it names a zone', () => {
  const noon = Date.UTC(2026, 1, 28, 12, 0, 0);
  checkAll({ is: 'time' }, [
    [noon, noon],
    [noon + 0.7, noon],
    [String(noon), noon],
    ['2026-02-28T12:00:00Z', noon],
    ['2026-02-28T12:00:00', noon],
    ['2026-02-28 12:00:00', noon],
    ['2026-02-28T12:00', noon],
    ['2026-02-28T12:00:00.123456Z', noon + 123],
    ['2026-02-28T12:00:00,5Z', noon + 500],
    ['2026-02-28T14:30:00+02:30', noon],
    ['2026-02-28T04:00:00-0800', noon],
    ['2026-02-28', noon - 43_200_000],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['1900-01-01', Date.UTC(1900, 0, 1)],
    ['2299-12-31T23:59:59.999Z', Date.UTC(2299, 11, 31, 23, 59, 59, 999)],
    ['2026-02-29', refused('bad_format')],
    ['2026-13-01', refused('bad_format')],
    ['2026-00-10', refused('bad_format')],
    ['2026-02-28T24:00:00', refused('bad_format')],
    ['2026-02-28T12:60', refused('bad_format')],
    ['2026-02-28T12:00+15:00', refused('bad_format')],
    ['2026-02-28T12:00+01:99', refused('bad_format')],
    ['28.02.2026', refused('bad_format')],
    ['yesterday', refused('bad_format')],
    ['0000-01-01', refused('out_of_range')],
    ['9999-12-31T00:00:00Z', refused('out_of_range')],
    [1e18, refused('out_of_range')],
    [-1e18, refused('out_of_range')],
    ['9'.repeat(30), refused('out_of_range')],
    [Number.POSITIVE_INFINITY, refused('out_of_range')],
    ['2'.repeat(65), refused('too_long')],
    [null, refused('wrong_type')],
    [true, refused('wrong_type')],
  ]);
});

test('a date is a day of the calendar from 1900 to 2299', () => {
  checkAll({ is: 'date' }, [
    ['1990-05-17', '1990-05-17'],
    ['2000-02-29', '2000-02-29'],
    ['1900-02-29', refused('bad_format')],
    ['1990-04-31', refused('bad_format')],
    ['1990-5-17', refused('bad_format')],
    ['17.05.1990', refused('bad_format')],
    ['1990-05-17T00:00:00Z', refused('bad_format')],
    ['0000-01-01', refused('out_of_range')],
    ['9999-01-01', refused('out_of_range')],
    ['1'.repeat(65), refused('too_long')],
    [19900517, refused('wrong_type')],
  ]);
});

test('what was read is read again as the same', (t) => {
  const kinds: Exclude<Kind, { is: 'items' | 'properties' }>[] = [
    { is: 'text', charsMax: 40 },
    { is: 'integer', min: -(2 ** 31), max: 2 ** 31 },
    { is: 'money' },
    { is: 'time' },
    { is: 'date' },
  ];
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  const sent = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.double(),
    fc.integer(),
    fc.integer().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString().slice(0, 10)),
    fc.stringMatching(/^[-+]?[0-9]{0,16}\.?[0-9]{0,9}(e[-+]?[0-9]{1,3})?$/),
  );
  fc.assert(
    fc.property(fc.constantFrom(...kinds), sent, (kind, value) => {
      const read = readerOf(kind);
      const once = read(value, true);
      if (typeof once !== 'object') assert.equal(read(once, true), once);
    }),
    { seed, numRuns: 2_000 },
  );
});
