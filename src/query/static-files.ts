/**
 * The built dashboard as files: hashed assets cached for ever, the page always asked for again,
 * and headers that keep it from loading or sending anything elsewhere.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { AppError } from '../base/errors.ts';
import { type Route, send } from '../base/http.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
};

const SECURITY = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

/** A tenth larger than the most that can be had, in a fiftieth of the time: every start packs. */
const PACKING = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };

interface Page {
  body: Buffer;
  packed: Buffer;
  type: string;
  etag: string;
  cache: string;
}

/** Every file of `folder` in memory, packed once; `/` and unknown paths give index.html. */
export function staticRoute(folder: string): Route {
  const pages = readPages(folder);
  return {
    method: 'GET',
    path: '/*',
    handle({ request, response, params }) {
      const path = params['*'] ?? '';
      const page = pages.get(path) ?? (extname(path) === '' ? pages.get('index.html') : undefined);
      if (page === undefined) {
        const hint = pages.size === 0 ? ' The dashboard is not built; run "npm run build".' : '';
        throw new AppError('not_found', `There is nothing at /${path}.${hint}`);
      }
      const common = {
        ...SECURITY,
        etag: page.etag,
        'cache-control': page.cache,
        vary: 'accept-encoding',
      };
      if (request.headers['if-none-match'] === page.etag) {
        response.writeHead(304, common).end();
        return;
      }
      const isPacked = /\bbr\b/.test(String(request.headers['accept-encoding']));
      const encoding: Record<string, string> = isPacked ? { 'content-encoding': 'br' } : {};
      send(response, 200, isPacked ? page.packed : page.body, {
        ...common,
        ...encoding,
        'content-type': page.type,
      });
    },
  };
}

function readPages(folder: string): Map<string, Page> {
  const pages = new Map<string, Page>();
  let entries: string[];
  try {
    entries = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return pages;
    throw error;
  }
  for (const entry of entries) {
    const type = TYPES[extname(entry)];
    if (type === undefined) continue;
    const body = readFileSync(join(folder, entry));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    const isHashed = entry.startsWith('assets');
    const cache = isHashed ? 'public, max-age=31536000, immutable' : 'no-cache';
    const path = relative('.', entry).replaceAll('\\', '/');
    pages.set(path, { body, packed: brotliCompressSync(body, PACKING), type, etag, cache });
  }
  return pages;
}
