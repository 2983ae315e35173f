/**
 * Audits and erasures over HTTP. Who may read is decided outside; who may change what is stored has
 * the token of the data folder, and no page elsewhere can send its header without a preflight.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { AppError } from '../../base/errors.ts';
import { type Route, sendJson } from '../../base/http.ts';
import { readAuditRequest, readEraseRequest } from './requests.ts';
import type { Upkeep } from './upkeep.ts';

export const TOKEN_HEADER = 'x-clickstream-token';
const BODY_BYTES_MAX = 16_384;
const NO_STORE = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/** `token` is what only who may read the data folder knows. */
export function upkeepRoutes(upkeep: Upkeep, token: string): Route[] {
  function checkToken({ headers }: IncomingMessage): void {
    const digest = (text: string) => createHash('sha256').update(text).digest();
    if (timingSafeEqual(digest(String(headers[TOKEN_HEADER] ?? '')), digest(token))) return;
    throw new AppError(
      'unauthorized',
      `It takes ${TOKEN_HEADER} with the token in running.json of the data folder that is served here.`,
    );
  }

  return [
    {
      method: 'GET',
      path: '/api/audit',
      handle: ({ response }) => sendJson(response, 200, upkeep.lastAudit() ?? null, NO_STORE),
    },
    {
      method: 'POST',
      path: '/api/audit',
      async handle({ request, response }) {
        checkToken(request);
        const { heal, ...range } = readAuditRequest(await readJson(request));
        sendJson(response, 200, await upkeep.audit(range, heal), NO_STORE);
      },
    },
    {
      method: 'POST',
      path: '/api/erase',
      async handle({ request, response }) {
        checkToken(request);
        const { selection, dryRun } = readEraseRequest(await readJson(request));
        sendJson(response, 200, await upkeep.erase(selection, dryRun), NO_STORE);
      },
    },
  ];
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type))
    throw new AppError('unsupported_media', `It takes application/json, not "${type}".`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX)
      throw new AppError('too_large', `The body is larger than ${BODY_BYTES_MAX} bytes.`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new AppError('not_json', 'The body is not JSON.', { cause });
  }
}
