/** The country of an address. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Draft } from '../../event/parse.ts';
import type { Arrival } from '../step.ts';
import { putCountry } from './put-country.ts';

const step = putCountry();

function put(address: string, fields: Partial<Draft> = {}, fromPage = true) {
  const event: Draft = { v: 1, project_id: 'shop', received_at: 0, event_name: 'x', ...fields };
  step({ address, fromPage } as Arrival)(event);
  return event.country;
}

test('finds the country of addresses of both kinds', () => {
  assert.equal(put('8.8.8.8'), 'US');
  assert.equal(put('2001:4860:4860::8888'), 'US');
  assert.equal(put('193.0.6.139'), 'NL');
});

test('says nothing for addresses that belong to nobody, or are none', () => {
  for (const address of ['127.0.0.1', '::1', '10.1.2.3', 'unknown', '', '999.1.1.1']) {
    assert.equal(put(address), undefined, address);
  }
});

test('what the sender says wins, and a program’s own address says nothing', () => {
  assert.equal(put('8.8.8.8', { country: 'DE' }), 'DE');
  assert.equal(put('8.8.8.8', {}, false), undefined);
});
