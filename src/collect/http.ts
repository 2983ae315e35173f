/**
 * The collector's routes: POST /v1/events with its preflight, and the browser SDK.
 */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { type Exchange, type Route, send, sendJson } from '../base/http.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Log } from '../log/log.ts';
import { discardRest, readBody, unpack } from './body.ts';
import { createCollector } from './collect.ts';
import { BODY_LIMITS, LOAD_LIMITS, RETRY_AFTER_S } from './limits.ts';
import { createLoad } from './load.ts';
import { cameFromPage, clientAddress, writeKeyOf } from './sender.ts';
import type { Step } from './step.ts';

export interface CollectOptions {
  log: Log;
  /** Write key → project. */
  keys: ReadonlyMap<string, string>;
  clock: Clock;
  metrics: Metrics;
  steps: readonly Step[];
  /** The address of the client is the last of X-Forwarded-For. */
  trustProxy: boolean;
  /** The built browser SDK. */
  sdkFile?: URL;
  bodyLimits?: typeof BODY_LIMITS;
  loadLimits?: typeof LOAD_LIMITS;
}

const SDK_FILE = new URL('../../dist/sdk.js', import.meta.url);
const SDK_CACHE_S = 300;
const PREFLIGHT_CACHE_S = 86_400;

export function collectRoutes(options: CollectOptions): Route[] {
  const { keys, metrics, trustProxy, sdkFile = SDK_FILE, bodyLimits = BODY_LIMITS } = options;
  const collect = createCollector({ ...options, limits: bodyLimits });
  const load = createLoad(options.loadLimits ?? LOAD_LIMITS);
  const countRequest = metrics.counter(
    'clickstream_collect_requests_total',
    'Requests to POST /v1/events, by what was answered.',
    ['code'],
  );
  const countBytes = metrics.counter(
    'clickstream_collect_bytes_total',
    'Bytes of bodies as they were received.',
  );
  metrics.gauge('clickstream_collect_bytes', 'Bytes of bodies in hand.', load.bytes);

  async function postEvents({ request, response, url }: Exchange): Promise<void> {
    const address = clientAddress(request, trustProxy);
    const share = load.enter(address);
    try {
      const projectId = keys.get(writeKeyOf(request, url) ?? '');
      if (projectId === undefined) {
        throw new AppError(
          'unauthorized',
          'The write key is missing or not known; send it as "Authorization: Bearer <key>" or ?key=.',
        );
      }
      const { headers } = request;
      const packed = await readBody(request, bodyLimits, share);
      countBytes(packed.length);
      const body = unpack(packed, headers['content-encoding'], bodyLimits);
      const answer = await collect(body, headers['content-type'], {
        projectId,
        address,
        userAgent: headers['user-agent'] ?? '',
        fromPage: cameFromPage(request),
      });
      if (answer.accepted === 0 && answer.rejected.length > 0) {
        const message = 'Every event was refused.';
        sendJson(response, 400, { ...answer, error: { code: 'all_rejected', message } });
        countRequest(1, { code: 'all_rejected' });
      } else {
        sendJson(response, 202, answer);
        countRequest(1, { code: 'accepted' });
      }
    } finally {
      share.release();
    }
  }

  return [
    {
      method: 'POST',
      path: '/v1/events',
      async handle(exchange) {
        const { request, response } = exchange;
        allowOrigin(request, response);
        try {
          await postEvents(exchange);
        } catch (error) {
          countRequest(1, { code: error instanceof AppError ? error.code : 'internal' });
          if (error instanceof AppError && (error.status === 503 || error.status === 429)) {
            response.setHeader('retry-after', String(error.retryAfterS ?? RETRY_AFTER_S));
          }
          await discardRest(request, bodyLimits);
          throw error;
        }
      },
    },
    {
      method: 'OPTIONS',
      path: '/v1/events',
      handle({ request, response }) {
        allowOrigin(request, response);
        response.writeHead(204, {
          'access-control-allow-methods': 'POST',
          'access-control-allow-headers': 'content-type, authorization, content-encoding',
          'access-control-max-age': String(PREFLIGHT_CACHE_S),
        });
        response.end();
      },
    },
    {
      method: 'GET',
      path: '/sdk.js',
      handle: ({ request, response }) => sendSdk(request, response, sdkFile),
    },
  ];
}

/**
 * Any page may send: the key says for which project, and there is no cookie to misuse. The origin
 * is repeated rather than `*` because beacons are sent with credentials.
 */
function allowOrigin(request: IncomingMessage, response: ServerResponse): void {
  const { origin } = request.headers;
  response.setHeader('vary', 'origin');
  if (origin === undefined) return;
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-allow-credentials', 'true');
  response.setHeader('access-control-expose-headers', 'retry-after');
}

async function sendSdk(request: IncomingMessage, response: ServerResponse, file: URL) {
  const script = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause;
    throw new AppError('not_found', 'The SDK is not built yet: npm run build.', { cause });
  });
  const headers = {
    'access-control-allow-origin': '*',
    'cache-control': `public, max-age=${SDK_CACHE_S}`,
    'content-type': 'text/javascript; charset=utf-8',
    'cross-origin-resource-policy': 'cross-origin',
    etag: `"${hash('sha256', script, 'base64url').slice(0, 16)}"`,
  };
  if (request.headers['if-none-match'] === headers.etag) {
    response.writeHead(304, headers);
    response.end();
  } else send(response, 200, script, headers);
}
