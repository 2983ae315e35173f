/**
 * Puts host, path and campaign from `url`, and the host of `referrer`.
 */
import { FIELDS, type Kind } from '../../event/event.ts';
import { CACHE_ENTRIES_MAX, CACHE_KEY_CHARS_MAX } from '../limits.ts';
import { remember } from '../recent.ts';
import type { Step } from '../steps.ts';

const CAMPAIGN = ['utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content'] as const;

type Part = 'host' | 'path' | (typeof CAMPAIGN)[number];
type Parts = readonly (readonly [Part, string])[];

export function putUrlParts(): Step {
  const limits = { entriesMax: CACHE_ENTRIES_MAX, keyCharsMax: CACHE_KEY_CHARS_MAX };
  const partsOf = remember(readUrl, limits);
  const hostOf = remember((url) => hostname(URL.parse(url)), limits);
  return () => (event) => {
    if (event.url !== undefined) {
      for (const [field, value] of partsOf(event.url)) event[field] ??= value;
    }
    if (event.referrer !== undefined && event.referrer_host === undefined) {
      const host = hostOf(event.referrer);
      if (host !== '') event.referrer_host = host;
    }
    return undefined;
  };
}

/** `/shop?utm_source=x` is read as well: it has a path and a campaign, and no host. */
function readUrl(text: string): Parts {
  const parts: [Part, string][] = [];
  const put = (field: Part, value: string) => {
    if (value !== '') parts.push([field, cut(value, FIELDS[field].kind)]);
  };
  const absolute = URL.parse(text);
  const url = absolute ?? URL.parse(text, 'http://none.invalid');
  if (url === null) return parts;
  put('host', hostname(absolute));
  if (url.pathname.startsWith('/')) put('path', url.pathname);
  if (url.search.includes('utm_')) {
    for (const field of CAMPAIGN) put(field, url.searchParams.get(field) ?? '');
  }
  return parts;
}

function hostname(url: URL | null): string {
  return cut(url?.hostname ?? '', FIELDS.host.kind);
}

/** At most what the field holds, without NUL and without cutting a character in two. */
function cut(text: string, kind: Kind): string {
  const charsMax = kind.is === 'text' ? kind.charsMax : 0;
  const clean = text.includes('\0') ? text.replaceAll('\0', '') : text;
  if (clean.length <= charsMax) return clean;
  return clean.slice(0, charsMax).replace(/[\ud800-\udbff]$/, '');
}
