/**
 * Puts the kind of source that brought the visitor: by the campaign if there is one, else by the
 * host of the referrer. An event without an address of a page tells nothing and gets none.
 */
import type { Draft } from '../../event/parse.ts';
import type { Step } from '../step.ts';

export const CHANNELS = [
  'direct',
  'internal',
  'organic search',
  'paid search',
  'organic social',
  'paid social',
  'email',
  'display',
  'affiliate',
  'referral',
  'campaign',
] as const;
export type Channel = (typeof CHANNELS)[number];

/** Names of sites: `google` of `www.google.co.uk`; or with their ending where that is too short. */
const SEARCH = new Set(
  'google bing yahoo duckduckgo baidu yandex ecosia qwant startpage naver seznam brave'.split(' '),
);
const SOCIAL = new Set(
  [
    'facebook instagram twitter linkedin pinterest reddit youtube tiktok bsky threads mastodon',
    'whatsapp telegram quora tumblr weibo snapchat discord fb ig',
    'x.com t.co t.me vk.com youtu.be lnkd.in',
  ].flatMap((names) => names.split(' ')),
);
const MAIL = new Set('mail outlook gmail'.split(' '));
/** `co` of `co.uk`: part of the ending, not a name. */
const SECOND_LEVEL = new Set('co com net org ac gov edu'.split(' '));
const PAID = new Set('cpc ppc paid paidsearch paid_search paid-search sem retargeting'.split(' '));
const MEDIUMS = new Map<string, Channel>([
  ['email', 'email'],
  ['e-mail', 'email'],
  ['newsletter', 'email'],
  ['display', 'display'],
  ['banner', 'display'],
  ['cpm', 'display'],
  ['affiliate', 'affiliate'],
  ['affiliates', 'affiliate'],
  ['referral', 'referral'],
  ['social', 'organic social'],
  ['social-media', 'organic social'],
  ['organic', 'organic search'],
  ['paid_social', 'paid social'],
  ['paidsocial', 'paid social'],
  ['paid-social', 'paid social'],
]);
const AD_CLICK = /[?&](?:gclid|gbraid|wbraid|msclkid)=/;

export const putChannel: Step = () => (event) => {
  if (event.channel === undefined) {
    const channel = channelOf(event);
    if (channel !== undefined) event.channel = channel;
  }
  return undefined;
};

function channelOf(event: Draft): Channel | undefined {
  const medium = event.utm_medium?.toLowerCase();
  const source = event.utm_source?.toLowerCase();
  if (medium !== undefined || source !== undefined) return channelOfCampaign(medium, source);
  if (event.url !== undefined && AD_CLICK.test(event.url)) return 'paid search';
  const from = event.referrer_host;
  if (from === undefined) return event.url === undefined ? undefined : 'direct';
  if (withoutWww(from) === withoutWww(event.host ?? '')) return 'internal';
  if (isMail(from)) return 'email';
  if (SEARCH.has(siteOf(from))) return 'organic search';
  return isSocial(from) ? 'organic social' : 'referral';
}

function channelOfCampaign(medium = '', source = ''): Channel {
  if (PAID.has(medium)) return isSocial(source) ? 'paid social' : 'paid search';
  const known = MEDIUMS.get(medium);
  if (known !== undefined) return known;
  if (source === 'newsletter') return 'email';
  if (SEARCH.has(siteOf(source))) return 'organic search';
  return isSocial(source) ? 'organic social' : 'campaign';
}

/** `mail.google.com` is read mail, not a search. */
function isMail(host: string): boolean {
  const parts = host.split('.');
  return parts.length > 2 && MAIL.has(parts[0] ?? '');
}

function isSocial(host: string): boolean {
  return SOCIAL.has(siteOf(host)) || SOCIAL.has(withoutWww(host));
}

function withoutWww(host: string): string {
  return host.startsWith('www.') ? host.slice(4) : host;
}

/** `google` of `www.google.co.uk`: what stands before the ending. */
function siteOf(host: string): string {
  const parts = host.split('.');
  const ending = parts.length > 2 && SECOND_LEVEL.has(parts.at(-2) ?? '') ? 2 : 1;
  return parts.length === 1 ? host : (parts.at(-1 - ending) ?? host);
}
