/** What is flagged as a machine, and what is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Draft } from '../../event/parse.ts';
import type { Arrival } from '../step.ts';
import { putBot } from './put-bot.ts';

const step = putBot();

function put(userAgent: string, fromPage = true) {
  const event: Draft = { v: 1, project_id: 'shop', received_at: 0, event_name: 'x' };
  assert.equal(step({ userAgent, fromPage } as Arrival)(event), undefined, 'kept');
  return event.bot;
}

test('flags crawlers and driven browsers by their user agent', () => {
  for (const userAgent of [
    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36',
    'python-requests/2.32',
  ]) {
    assert.equal(put(userAgent), 'user_agent', userAgent);
  }
});

test('flags what claims to come from a page and names no browser', () => {
  assert.equal(put(''), 'no_user_agent');
});

test('does not flag people, nor programs that send on their behalf', () => {
  const person =
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36';
  assert.equal(put(person), undefined);
  assert.equal(put('curl/8.5.0', false), undefined);
  assert.equal(put('', false), undefined);
});
