/** Host, path and campaign of an address, whatever the address. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Draft, parseEvent } from '../../event/parse.ts';
import type { Arrival } from '../step.ts';
import { putUrlParts } from './put-url-parts.ts';

const put = putUrlParts()({} as Arrival);

function parts(fields: Partial<Draft>) {
  const event: Draft = { v: 1, project_id: 'shop', received_at: 0, event_name: 'x', ...fields };
  put(event);
  const { v, project_id, received_at, event_name, url, referrer, ...rest } = event;
  return rest;
}

test('takes host, path and campaign from the address', () => {
  const url =
    'https://Shop.Example:8443/men/shirts?utm_source=news&utm_medium=email&utm_campaign=May%20sale&utm_term=a&utm_content=b#top';
  assert.deepEqual(parts({ url }), {
    host: 'shop.example',
    path: '/men/shirts',
    utm_source: 'news',
    utm_medium: 'email',
    utm_campaign: 'May sale',
    utm_term: 'a',
    utm_content: 'b',
  });
  assert.deepEqual(parts({ url }), parts({ url }), 'the second time from memory');
});

test('takes the host of the referrer', () => {
  assert.deepEqual(parts({ referrer: 'https://www.google.com/search?q=x' }), {
    referrer_host: 'www.google.com',
  });
});

test('reads an address without a host, and leaves what is none', () => {
  assert.deepEqual(parts({ url: '/men?utm_source=a' }), { path: '/men', utm_source: 'a' });
  assert.deepEqual(parts({ url: 'about:blank' }), {});
  assert.deepEqual(parts({ url: 'https://' }), {});
  assert.deepEqual(parts({ referrer: 'none' }), {});
  assert.deepEqual(parts({ url: 'https://h/?utm_source=&utm_term=%00' }), { host: 'h', path: '/' });
});

test('what the sender has set wins', () => {
  const url = 'https://shop.example/a?utm_source=news';
  const set = { host: 'h', path: '/p', utm_source: 's', referrer_host: 'r' };
  assert.deepEqual(parts({ url, referrer: 'https://x.example', ...set }), set);
});

test('whatever the address, the parts are what their fields may hold', (t) => {
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  const long = fc.constantFrom('%00', '😀', 'ä', 'a', '%F0%9F', '%20').map((s) => s.repeat(3_000));
  const text = fc.oneof(fc.string({ unit: 'binary' }), long, fc.webUrl());
  fc.assert(
    fc.property(text, text, text, (host, path, source) => {
      for (const url of [host, `https://h${host}.example/${path}?utm_source=${source}`]) {
        if (url.length > 8192 || url.includes('\0') || !url.isWellFormed()) continue;
        const found = { event_name: 'x', ...parts({ url, referrer: url }) };
        const again = parseEvent(found, { project_id: '', received_at: 0, escaped: true });
        assert.deepEqual(
          JSON.parse(JSON.stringify(again)),
          { v: 1, project_id: '', received_at: 0, ...found },
          url,
        );
      }
    }),
    { seed, numRuns: 500 },
  );
});
