/**
 * The demo shop's page at /demo: a plain shop to click in, which sends its events by our own SDK.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Route, send } from '../base/http.ts';

const FOLDER = join(import.meta.dirname, 'page');
const FILES = {
  'shop.css': 'text/css; charset=utf-8',
  'shop.js': 'text/javascript; charset=utf-8',
} as const;

/** `key` is the write key that the page sends with; like every write key it can be seen. */
export function demoRoutes(key: string): Route[] {
  const page = readFileSync(join(FOLDER, 'shop.html'), 'utf8').replace(
    '%WRITE_KEY%',
    encodeURIComponent(key),
  );
  const files = Object.entries(FILES).map(([name, type]): Route => {
    const body = readFileSync(join(FOLDER, name), 'utf8');
    return {
      method: 'GET',
      path: `/demo/files/${name}`,
      handle: ({ response }) =>
        send(response, 200, body, { 'content-type': type, 'cache-control': 'no-cache' }),
    };
  });
  const html: Route['handle'] = ({ response }) =>
    send(response, 200, page, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
    });
  return [
    ...files,
    { method: 'GET', path: '/demo', handle: html },
    // The shop is a single page: its own addresses give the same file.
    { method: 'GET', path: '/demo/*', handle: html },
  ];
}
