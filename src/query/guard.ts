/**
 * Who may read: those that name this server in their Host header, and log in where that is asked
 * for. A page elsewhere in the same browser must not read, not even by a name that was made to
 * point here.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError } from '../base/errors.ts';
import type { Exchange, Route } from '../base/http.ts';

export interface Readers {
  /** `user:password` that reading asks for, or empty. */
  login: string;
  /** Whether a Host header names this server. */
  isOurHost: (host: string) => boolean;
}

/** The route, for those who may read only. */
export function guard(route: Route, readers: Readers): Route {
  return {
    ...route,
    handle(exchange) {
      checkReader(exchange, readers);
      return route.handle(exchange);
    },
  };
}

function checkReader({ request, response }: Exchange, { login, isOurHost }: Readers): void {
  if (!isOurHost(request.headers.host ?? '')) {
    throw new AppError(
      'forbidden_host',
      `The Host header "${request.headers.host ?? ''}" is not an address of this server.`,
    );
  }
  if (login === '') return;
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const given = Buffer.from(basic, 'base64').toString('utf8');
  if (!timingSafeEqual(digest(given), digest(login))) {
    // Without it no browser asks for them.
    response.setHeader('www-authenticate', 'Basic realm="Clickstream", charset="UTF-8"');
    throw new AppError('unauthorized', 'Reading needs the user and password of CLICKSTREAM_LOGIN.');
  }
}
