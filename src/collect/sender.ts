/**
 * Who sends: the write key, the address, and whether it is a page or a program.
 */
import type { IncomingMessage } from 'node:http';

/** From `Authorization: Bearer <key>`, `Basic base64(<key>:)` or `?key=<key>`, in this order. */
export function writeKeyOf(request: IncomingMessage, url: URL): string | undefined {
  const [scheme = '', value = ''] = (request.headers.authorization ?? '').split(' ');
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return value;
    case 'basic':
      return Buffer.from(value, 'base64').toString('utf8').split(':')[0];
    default:
      return url.searchParams.get('key') ?? undefined;
  }
}

/**
 * The address the request comes from, IPv4 without its IPv6 coat. Behind a proxy that is trusted
 * it is the last entry of X-Forwarded-For: the one that this proxy wrote; others can be made up.
 */
export function clientAddress(request: IncomingMessage, trustProxy: boolean): string {
  const forwarded = trustProxy ? request.headers['x-forwarded-for'] : undefined;
  const last = forwarded?.toString().split(',').at(-1)?.trim();
  const address = last || request.socket.remoteAddress || '';
  return address
    .replace(/^\[(.+)\](?::\d+)?$/, '$1')
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/^::ffff:(?=[\d.]+$)/i, '');
}

/** Browsers name an origin with every POST, and begin their user agent the same way. */
export function cameFromPage(request: IncomingMessage): boolean {
  const { origin, 'user-agent': userAgent = '' } = request.headers;
  return origin !== undefined || userAgent.startsWith('Mozilla/');
}
