/** The kind of source that brought a visitor. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Draft } from '../../event/parse.ts';
import type { Arrival } from '../step.ts';
import { type Channel, putChannel } from './put-channel.ts';

function put(fields: Partial<Draft>) {
  const event: Draft = { v: 1, project_id: 'shop', received_at: 0, event_name: 'x', ...fields };
  putChannel({} as Arrival)(event);
  return event.channel;
}

const page = { url: 'https://shop.example/', host: 'shop.example' };

test('without a campaign the referrer decides', () => {
  const seen: [string | undefined, Channel][] = [
    [undefined, 'direct'],
    ['shop.example', 'internal'],
    ['www.shop.example', 'internal'],
    ['www.google.com', 'organic search'],
    ['google.co.uk', 'organic search'],
    ['www.bing.com', 'organic search'],
    ['yandex.com.tr', 'organic search'],
    ['mail.google.com', 'email'],
    ['m.facebook.com', 'organic social'],
    ['t.co', 'organic social'],
    ['www.x.com', 'organic social'],
    ['x.example', 'referral'],
    ['google.example.com', 'referral'],
    ['blog.example', 'referral'],
  ];
  for (const [referrer_host, channel] of seen) {
    const referrer = referrer_host === undefined ? {} : { referrer_host };
    assert.equal(put({ ...page, ...referrer }), channel, referrer_host);
  }
});

test('a campaign decides before the referrer', () => {
  const seen: [medium: string, source: string, Channel][] = [
    ['cpc', 'google', 'paid search'],
    ['CPC', 'facebook', 'paid social'],
    ['paid_social', 'x', 'paid social'],
    ['email', 'spring', 'email'],
    ['', 'newsletter', 'email'],
    ['', 'google', 'organic search'],
    ['', 'instagram', 'organic social'],
    ['social', 'pigeon', 'organic social'],
    ['banner', 'partner', 'display'],
    ['affiliate', 'partner', 'affiliate'],
    ['referral', 'partner', 'referral'],
    ['qr', 'poster', 'campaign'],
  ];
  for (const [medium, source, channel] of seen) {
    const campaign = { utm_source: source, ...(medium === '' ? {} : { utm_medium: medium }) };
    assert.equal(put({ ...page, ...campaign, referrer_host: 'www.bing.com' }), channel, source);
  }
});

test('a click on an advertisement is a paid search without a campaign', () => {
  const url = 'https://shop.example/?gclid=abc';
  assert.equal(put({ ...page, url, referrer_host: 'www.google.com' }), 'paid search');
});

test('an event that names no page and no source has no channel', () => {
  assert.equal(put({}), undefined);
});

test('what the sender has set wins', () => {
  assert.equal(put({ ...page, channel: 'partner' }), 'partner');
});
