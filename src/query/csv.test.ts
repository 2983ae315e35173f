/** CSV that every reader takes apart alike, and that no spreadsheet runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toCsv } from './csv.ts';

const line = (value: unknown): string =>
  toCsv([{ name: 'a' }], [{ a: value }]).split('\r\n')[1] ?? '';

test('names stand in the head, lines end with CRLF, and the order is that of the columns', () => {
  const columns = [{ name: 'b' }, { name: 'a' }];
  assert.equal(toCsv(columns, [{ a: 1, b: 'x' }, { b: null }]), 'b,a\r\nx,1\r\n,\r\n');
  assert.equal(toCsv(columns, []), 'b,a\r\n');
});

test('quotes, commas and line ends are quoted', () => {
  assert.equal(line('say "hi", then'), '"say ""hi"", then"');
  assert.equal(toCsv([{ name: 'a' }], [{ a: 'x\r\ny' }]), 'a\r\n"x\r\ny"\r\n');
});

test('what a spreadsheet would run as a formula gets an apostrophe; numbers stay numbers', () => {
  for (const text of ['=1+1', '+1', '-1+1', '@SUM(A1)', '\tx', '-']) {
    assert.equal(line(text)[0], "'", text);
  }
  for (const text of ['-12.50', '12', '-0.0001']) assert.equal(line(text), text);
  assert.equal(line(-1), '-1');
});
