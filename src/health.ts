/**
 * What an operator asks: is it alive, is it ready, how does it do.
 */
import { type Route, send, sendJson } from './base/http.ts';
import type { Metrics } from './base/metrics.ts';

export interface Health {
  /** Names of the parts that are not ready, each with a sentence; empty when all is well. */
  notReady(): Promise<Record<string, string>>;
  metrics: Metrics;
  version: string;
}

export function healthRoutes(health: Health): Route[] {
  return [
    {
      method: 'GET',
      path: '/health',
      handle: ({ response }) => sendJson(response, 200, { status: 'ok', version: health.version }),
    },
    {
      method: 'GET',
      path: '/ready',
      async handle({ response }) {
        const waiting = await health.notReady();
        const ready = Object.keys(waiting).length === 0;
        const headers: Record<string, string> = ready ? {} : { 'retry-after': '1' };
        sendJson(response, ready ? 200 : 503, { ready, waiting }, headers);
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      async handle({ response }) {
        send(response, 200, await health.metrics.text(), {
          'content-type': health.metrics.contentType,
        });
      },
    },
  ];
}
