/**
 * The read API: questions as JSON or CSV, the live stream, and the dashboard's files. All of it is
 * guarded (guard.ts), and without CORS headers: a page elsewhere in the browser must not read it.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { type Route, send, sendJson } from '../base/http.ts';
import type { Metrics } from '../base/metrics.ts';
import { toCsv } from './csv.ts';
import { guard, type Readers } from './guard.ts';
import type { Live, LiveMessage } from './live.ts';
import { readParams } from './params.ts';
import type { Questions } from './run.ts';
import { staticRoute } from './static-files.ts';

export interface QueryRoutesOptions extends Readers {
  questions: Questions;
  live: Live;
  clock: Clock;
  metrics: Metrics;
  /** Folder of the built dashboard. */
  dashboard: string;
  /** Fires when the server stops: ends the streams. */
  stopping: AbortSignal;
}

const STREAMS_MAX = 200;
const QUERIES_MAX = 64;
const HEARTBEAT_MS = 15_000;
/** A watcher that has not taken this much is dropped; its browser connects again. */
const STREAM_BYTES_WAITING_MAX = 1_000_000;
const RECONNECT_MS = 2_000;

export function queryRoutes(o: QueryRoutesOptions): Route[] {
  let streams = 0;
  let queries = 0;
  o.metrics.gauge('clickstream_live_streams', 'Open live streams.', () => streams);
  o.metrics.gauge('clickstream_live_sources', 'Different live views that are asked.', () =>
    o.live.sources(),
  );
  const querySeconds = o.metrics.histogram(
    'clickstream_question_seconds',
    'Time of one answer of the read API.',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  );

  const routes: Route[] = [
    {
      method: 'GET',
      path: '/api/questions',
      handle({ response }) {
        const list = o.questions.names.map((name) => ({ name, ...o.questions.header(name) }));
        sendJson(response, 200, list, NO_STORE);
      },
    },
    {
      method: 'GET',
      path: '/api/projects/:project/live',
      async handle({ response, url, params }) {
        if (streams >= STREAMS_MAX) {
          throw new AppError('too_many_requests', 'Too many live streams are open.', {
            retryAfterS: 5,
          });
        }
        const asked = readParams(params.project ?? '', url.searchParams, o.clock.now());
        const closed = new AbortController();
        const onStop = (): void => {
          response.end();
        };
        streams++;
        response.on('close', () => {
          streams--;
          o.stopping.removeEventListener('abort', onStop);
          closed.abort();
        });
        o.stopping.addEventListener('abort', onStop);
        await openStream(response, (tell) => o.live.watch(asked, tell, closed.signal));
      },
    },
    {
      method: 'GET',
      path: '/api/projects/:project/:question',
      async handle({ request, response, url, params }) {
        if (queries >= QUERIES_MAX) {
          throw new AppError('too_many_requests', 'Too many questions at once.', {
            retryAfterS: 1,
          });
        }
        const asked = readParams(params.project ?? '', url.searchParams, o.clock.now());
        const left = new AbortController();
        response.on('close', () => left.abort());
        queries++;
        try {
          const answer = await o.questions.answer(params.question ?? '', asked, left.signal);
          querySeconds(answer.took_ms / 1000);
          const takesCsv = /\btext\/csv\b/.test(request.headers.accept ?? '');
          if ((url.searchParams.get('format') ?? (takesCsv ? 'csv' : 'json')) === 'csv') {
            const name = `${params.question}.csv`;
            send(response, 200, toCsv(answer.columns, answer.rows), {
              ...NO_STORE,
              'content-type': 'text/csv; charset=utf-8',
              'content-disposition': `attachment; filename="${name}"`,
            });
          } else {
            sendJson(response, 200, answer, NO_STORE);
          }
        } finally {
          queries--;
        }
      },
    },
    {
      method: '*',
      path: '/api/*',
      handle({ url }) {
        throw new AppError('not_found', `There is nothing at ${url.pathname}.`);
      },
    },
    staticRoute(o.dashboard),
  ];
  return routes.map((route) => guard(route, o));
}

const NO_STORE = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/** Server-sent events (WHATWG HTML, section 9.2) on this response, until it is closed. */
async function openStream(
  response: ServerResponse,
  watch: (tell: (message: LiveMessage) => void) => Promise<void>,
): Promise<void> {
  let id = 0;
  const write = (text: string): void => {
    // The server stops, and what was written before is still on its way.
    if (response.writableEnded) return;
    if (response.writableLength > STREAM_BYTES_WAITING_MAX) {
      response.destroy();
      return;
    }
    if (!response.headersSent) {
      response.writeHead(200, {
        ...NO_STORE,
        'content-type': 'text/event-stream; charset=utf-8',
        'x-accel-buffering': 'no',
      });
    }
    response.write(text);
  };
  const heartbeat = setInterval(() => write(': still here\n\n'), HEARTBEAT_MS);
  response.on('close', () => clearInterval(heartbeat));
  // Before the head: what cannot be watched is answered with its error.
  await watch(({ event, data }) =>
    write(`id: ${++id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
  );
  write(`retry: ${RECONNECT_MS}\n\n`);
}
