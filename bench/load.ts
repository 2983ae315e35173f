/**
 * The load: a process of its own, so that it never shares an event loop with what it measures.
 *
 * Told over IPC: {url, key, batch, connections, seconds, eventsPerSecond (0: as fast as answered)}.
 * Answers {accepted, requests, seconds, latencies_ms}; latencies of an open loop count from when a
 * request was due, not from when it could be sent, so a stalled server cannot hide its stall.
 */
import http from 'node:http';
import { createShop } from '../src/demo/shop.ts';

export interface LoadOrder {
  url: string;
  key: string;
  batch: number;
  connections: number;
  seconds: number;
  eventsPerSecond: number;
  seed: number;
}

export interface LoadResult {
  accepted: number;
  requests: number;
  refused: number;
  seconds: number;
  latencies_ms: number[];
}

async function run(order: LoadOrder): Promise<LoadResult> {
  const { batch, connections } = order;
  const bodies = createBodies(order);
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const target = new URL('/v1/events', order.url);
  const result: LoadResult = { accepted: 0, requests: 0, refused: 0, seconds: 0, latencies_ms: [] };
  const send = (body: string, dueMs: number) =>
    new Promise<void>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${order.key}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      };
      const request = http.request(target, { agent, method: 'POST', headers }, (response) => {
        response.resume();
        response.on('end', () => {
          result.requests++;
          if (response.statusCode === 202) result.accepted += batch;
          else result.refused++;
          result.latencies_ms.push(performance.now() - dueMs);
          resolve();
        });
      });
      request.on('error', reject);
      request.end(body);
    });

  const startMs = performance.now();
  const endMs = startMs + order.seconds * 1000;
  let sent = 0;
  const intervalMs = order.eventsPerSecond === 0 ? 0 : (batch * 1000) / order.eventsPerSecond;
  const sender = async (): Promise<void> => {
    for (;;) {
      const dueMs = intervalMs === 0 ? performance.now() : startMs + sent * intervalMs;
      if (dueMs >= endMs) return;
      sent++;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      await send(bodies(), dueMs);
    }
  };
  await Promise.all(Array.from({ length: connections }, sender));
  result.seconds = (performance.now() - startMs) / 1000;
  agent.destroy();
  return result;
}

/** Bodies of `batch` events of the shop, each event once, as they would come now. */
function createBodies({ batch, seed }: LoadOrder): () => string {
  const shop = createShop({ seed });
  return () => JSON.stringify(shop.nextEvents(Date.now(), batch));
}

process.on('message', (order: LoadOrder) => {
  run(order).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));
