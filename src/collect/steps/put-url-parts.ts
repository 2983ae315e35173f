/**
 * Puts host, path and campaign from `url`, and the host of `referrer`.
 */
import { FIELDS, type Kind } from '../../event/event.ts';
import type { Draft } from '../../event/parse.ts';
import { CACHE_ENTRIES_MAX, CACHE_KEY_CHARS_MAX } from '../limits.ts';
import { remember } from '../recent.ts';
import type { Step } from '../step.ts';

const CAMPAIGN = ['utm_source', 'utm_medium', 'utm_campaign', 'utm_term', 'utm_content'] as const;

type Part = 'host' | 'path' | (typeof CAMPAIGN)[number];
type Parts = { [part in Part]?: string };

export function putUrlParts(): Step {
  const limits = { entriesMax: CACHE_ENTRIES_MAX, keyCharsMax: CACHE_KEY_CHARS_MAX };
  const partsOf = remember(readUrl, limits);
  const hostOf = remember((url) => hostname(URL.parse(url)), limits);
  return () => (event) => {
    if (event.url !== undefined) put(partsOf(event.url), event);
    if (event.referrer !== undefined && event.referrer_host === undefined) {
      const host = hostOf(event.referrer);
      if (host !== '') event.referrer_host = host;
    }
    return undefined;
  };
}

/** Written out: under computed names the event becomes a slow object, for all that follows. */
function put(parts: Parts, event: Draft): void {
  if (parts.host !== undefined) event.host ??= parts.host;
  if (parts.path !== undefined) event.path ??= parts.path;
  if (parts.utm_source !== undefined) event.utm_source ??= parts.utm_source;
  if (parts.utm_medium !== undefined) event.utm_medium ??= parts.utm_medium;
  if (parts.utm_campaign !== undefined) event.utm_campaign ??= parts.utm_campaign;
  if (parts.utm_term !== undefined) event.utm_term ??= parts.utm_term;
  if (parts.utm_content !== undefined) event.utm_content ??= parts.utm_content;
}

/** `/shop?utm_source=x` is read as well: it has a path and a campaign, and no host. */
function readUrl(text: string): Parts {
  const parts: Parts = {};
  const keep = (field: Part, value: string) => {
    const kept = cut(value, FIELDS[field].kind);
    if (kept !== '') parts[field] = kept;
  };
  const absolute = URL.parse(text);
  const url = absolute ?? URL.parse(text, 'http://none.invalid');
  if (url === null) return parts;
  keep('host', hostname(absolute));
  if (url.pathname.startsWith('/')) keep('path', url.pathname);
  if (url.search.includes('utm_')) {
    for (const field of CAMPAIGN) keep(field, url.searchParams.get(field) ?? '');
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
