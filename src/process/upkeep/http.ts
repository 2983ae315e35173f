/**
 * Audits and erasures over HTTP, for the command and for pages. Who may ask is decided outside; the
 * content type is asked for here, because a page elsewhere can send any other without a preflight.
 */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../../base/errors.ts';
import { type Route, sendJson } from '../../base/http.ts';
import { readAuditRequest, readEraseRequest } from './requests.ts';
import type { Upkeep } from './upkeep.ts';

const BODY_BYTES_MAX = 16_384;
const NO_STORE = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/** `logId` is the log that is served here. */
export function upkeepRoutes(upkeep: Upkeep, logId: string): Route[] {
  function checkLog(log: string | undefined): void {
    if (log === undefined || log === logId) return;
    throw new AppError('bad_request', 'Another data folder is served here than is meant.', {
      field: 'log',
    });
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
        const { heal, log, ...range } = readAuditRequest(await readJson(request));
        checkLog(log);
        sendJson(response, 200, await upkeep.audit(range, heal), NO_STORE);
      },
    },
    {
      method: 'POST',
      path: '/api/erase',
      async handle({ request, response }) {
        const { selection, dryRun, log } = readEraseRequest(await readJson(request));
        checkLog(log);
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
