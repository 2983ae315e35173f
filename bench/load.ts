/**
 * The load: a process of its own, so that it never shares an event loop with what it measures.
 *
 * Told over IPC: a LoadOrder. Answers a LoadResult. In an open loop (eventsPerSecond > 0) latencies
 * count from when a request was due, not from when it could be sent, so a stalled server cannot
 * hide its stall. Bodies are made before the clock starts, so that the load costs the two cores
 * little; each time one is sent again its events get ids that were never sent before.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createShop } from '../src/demo/shop.ts';

export interface LoadOrder {
  /** Origin of what takes the events. */
  url: string;
  /** Path there; the collector's when it is absent. */
  path?: string;
  key: string;
  /** Events in a request. */
  batch: number;
  connections: number;
  seconds: number;
  /** 0: as fast as it is answered. */
  eventsPerSecond: number;
  seed: number;
}

export interface LoadResult {
  accepted: number;
  refused: number;
  seconds: number;
  latencies_ms: number[];
  /** The longest time in which no request was answered with 202, from the start to the last one. */
  longest_gap_ms: number;
}

export interface Load {
  run(order: LoadOrder): Promise<LoadResult>;
  close(): Promise<void>;
}

export function startLoad(): Load {
  const child: ChildProcess = fork(import.meta.filename, { stdio: 'inherit' });
  const exited = once(child, 'exit');
  return {
    async run(order) {
      child.send(order);
      const answered = once(child, 'message') as Promise<[LoadResult]>;
      const answer = await Promise.race([answered, exited.then(() => undefined)]);
      if (answer === undefined) throw new Error('the load process ended');
      return answer[0];
    },
    async close() {
      child.disconnect();
      await exited;
    },
  };
}

const BODIES = 400;

async function run(order: LoadOrder): Promise<LoadResult> {
  const { batch, connections } = order;
  const nextBody = createBodies(order);
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const target = new URL(order.path ?? '/v1/events', order.url);
  const result: LoadResult = {
    accepted: 0,
    refused: 0,
    seconds: 0,
    latencies_ms: [],
    longest_gap_ms: 0,
  };
  let lastAckMs = 0;
  const send = (body: Buffer, dueMs: number) =>
    new Promise<void>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${order.key}`,
        'content-type': 'application/json',
        'content-length': body.length,
      };
      const request = http.request(target, { agent, method: 'POST', headers }, (response) => {
        response.resume();
        response.on('end', () => {
          const nowMs = performance.now();
          if (response.statusCode === 202) {
            result.accepted += batch;
            result.longest_gap_ms = Math.max(result.longest_gap_ms, nowMs - lastAckMs);
            lastAckMs = nowMs;
          } else result.refused += batch;
          result.latencies_ms.push(nowMs - dueMs);
          resolve();
        });
      });
      request.on('error', reject);
      request.end(body);
    });

  const startMs = performance.now();
  lastAckMs = startMs;
  const endMs = startMs + order.seconds * 1000;
  const intervalMs = order.eventsPerSecond === 0 ? 0 : (batch * 1000) / order.eventsPerSecond;
  let sent = 0;
  const sender = async (): Promise<void> => {
    for (;;) {
      const dueMs = intervalMs === 0 ? performance.now() : startMs + sent * intervalMs;
      if (dueMs >= endMs) return;
      sent++;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      await send(nextBody(), dueMs);
    }
  };
  await Promise.all(Array.from({ length: connections }, sender));
  result.seconds = (performance.now() - startMs) / 1000;
  agent.destroy();
  return result;
}

/** Bodies of the shop in turn, each with ids of its own every time. */
function createBodies({ batch, seed }: LoadOrder): () => Buffer {
  const shop = createShop({ seed });
  const nowMs = Date.now();
  const bodies = Array.from({ length: BODIES }, () => {
    const body = Buffer.from(JSON.stringify(shop.nextEvents(nowMs, batch)));
    const ids: number[] = [];
    for (let at = body.indexOf('"event_id":"'); at !== -1; at = body.indexOf('"event_id":"', at)) {
      at += '"event_id":"'.length;
      ids.push(at);
    }
    return { body, ids };
  });
  let turn = 0;
  return () => {
    const { body, ids } = bodies[turn % BODIES] as { body: Buffer; ids: number[] };
    const round = Math.floor(turn / BODIES)
      .toString(36)
      .padStart(4, '0');
    turn++;
    // Of the 24 characters the 9th to 12th are chance; the rest still tells the events apart.
    for (const at of ids) body.write(round, at + 8, 'latin1');
    return Buffer.from(body);
  };
}

if (process.send !== undefined && import.meta.main) {
  process.on('message', (order: LoadOrder) => {
    run(order).then((result) => process.send?.(result));
  });
  process.on('disconnect', () => process.exit(0));
}
