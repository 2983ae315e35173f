/** The self-check waits for what gets on, and for nothing else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import { checkSelf } from './self-check.ts';
import type { Store } from './store/store.ts';

/** A collector that answers with these statuses in turn, and a clock that each sleep moves by 9 s. */
async function setUp(t: TestContext, statuses: number[]) {
  const collector = createServer((_, response) => {
    response.writeHead(statuses.shift() ?? 202).end('an answer');
  });
  await once(collector.listen(0, '127.0.0.1'), 'listening');
  t.after(() => collector.close());
  let nowMs = 0;
  let sleeps = 0;
  const sleep = async (): Promise<void> => {
    nowMs += 9_000;
    sleeps++;
  };
  const clock: Clock = { now: () => nowMs, elapsed: () => nowMs, sleep };
  const { port } = collector.address() as AddressInfo;
  const { signal } = new AbortController();
  const url = `http://127.0.0.1:${port}`;
  return { url, key: 'k', clock, signal, isBehind: false, sleeps: () => sleeps };
}

function storeOf(select: () => number): Store {
  return { select: async () => [{ found: select() }] } as unknown as Store;
}

test('an event that comes back after a long backlog is a success', async (t) => {
  const { sleeps, ...check } = await setUp(t, [503, 202]);
  const store = storeOf(() => (sleeps() > 20 ? 1 : 0));
  await checkSelf({ ...check, store, progress: sleeps });
});

test('a large batch that goes before it may take long', async (t) => {
  const { sleeps, ...check } = await setUp(t, [202]);
  const store = storeOf(() => (sleeps() > 5 ? 1 : 0));
  await assert.rejects(checkSelf({ ...check, store, progress: () => 1 }));
  await checkSelf({ ...check, store, progress: () => 1, isBehind: true });
});

test('when nothing gets on it fails with what is missing', async (t) => {
  for (const [statuses, select, words] of [
    [[202], () => 0, /is not in the store\.$/],
    [[503, 503, 503, 503], () => 0, /was answered 503: an answer\.$/],
    [
      [202],
      (): number => {
        throw new AppError('store_unreachable', 'The store is away.');
      },
      /is not in the store: The store is away\.\.$/,
    ],
  ] as const) {
    const check = await setUp(t, [...statuses]);
    const store = storeOf(select);
    await assert.rejects(checkSelf({ ...check, store, progress: () => 1 }), {
      code: 'self_check_failed',
      message: words,
    });
  }
});
