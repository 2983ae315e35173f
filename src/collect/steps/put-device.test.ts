/** Device, system and browser from user agents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Draft } from '../../event/parse.ts';
import type { Arrival } from '../step.ts';
import { putDevice } from './put-device.ts';

const step = putDevice();

function put(userAgent: string, fields: Partial<Draft> = {}, fromPage = true) {
  const event: Draft = { v: 1, project_id: 'shop', received_at: 0, event_name: 'x', ...fields };
  step({ userAgent, fromPage } as Arrival)(event);
  const { device_type, os, browser } = event;
  return [device_type, os, browser];
}

const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';

test('reads device, system and browser from the user agent', () => {
  const seen: [string, unknown[]][] = [
    [IPHONE, ['mobile', 'iOS', 'Safari']],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0',
      ['desktop', 'Windows', 'Microsoft Edge'],
    ],
    [
      'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0',
      ['desktop', 'Linux', 'Firefox'],
    ],
    [
      'Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1',
      ['tablet', 'iOS', 'Safari'],
    ],
    ['Mozilla/5.0', [undefined, undefined, undefined]],
    ['', [undefined, undefined, undefined]],
  ];
  for (const [userAgent, device] of seen) assert.deepEqual(put(userAgent), device, userAgent);
  assert.deepEqual(put(IPHONE), ['mobile', 'iOS', 'Safari'], 'the second time from memory');
});

test('a piece of a user agent that nobody knows becomes no name', () => {
  for (const userAgent of [
    `Mozilla/${'a/'.repeat(7_000)} (`,
    'Mozilla/nobody knows/1.0 (Some Phone)',
    'Mozilla/(',
    `Mozilla/5.0 (Linux; Android 14; ${'x'.repeat(5_000)}) Unheard/1.0`,
  ]) {
    for (const name of put(userAgent)) assert.ok((name ?? '').length <= 20, name);
  }
});

test('what the sender says of the device wins, field by field', () => {
  assert.deepEqual(put(IPHONE, { os: 'HarmonyOS' }), ['mobile', 'HarmonyOS', 'Safari']);
});

test('a program’s user agent says nothing about the visitor’s device', () => {
  assert.deepEqual(put(IPHONE, {}, false), [undefined, undefined, undefined]);
});
