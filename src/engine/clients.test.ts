/**
 * What clients really send: recorded.ndjson holds requests of drivers in several versions, with
 * what they were answered when they read it well. Answers that a version or a time stands in are
 * not kept.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createHandshake } from './handshake.ts';
import { createFront, type FrontOptions } from './http.ts';
import { openTestEngine } from './test-engine.ts';

interface Recorded {
  client: string;
  /** One of the questions that a new connection asks before its first statement. */
  isFirst: boolean;
  path: string;
  headers: Record<string, string>;
  body: string;
  /** In hexadecimal. */
  answer?: string;
}

const RECORDED = readFileSync(join(import.meta.dirname, 'recorded.ndjson'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);
const CLIENTS = [...new Set(RECORDED.map(({ client }) => client))];

const opened = openTestEngine();
after(async () => (await opened).close());

for (const client of CLIENTS) {
  test(`${client} is answered as it was when it was recorded`, async () => {
    const { ask } = await opened;
    for (const { path, headers, body, answer } of RECORDED.filter((r) => r.client === client)) {
      const { code, bytes, text } = await ask('reader', body, { query: path.slice(2), headers });
      assert.equal(code, null, `${body}: ${text}`);
      if (answer !== undefined) assert.equal(bytes.toString('hex'), answer, body);
    }
  });
}

test('a second connection of any of these clients asks the engine nothing', async () => {
  const user = { name: 'reader', password: 'of-the-reader' };
  let asked = 0;
  const sessions = {
    use: () => {
      asked++;
      return Promise.resolve(new Uint8Array());
    },
    close: () => Promise.resolve(),
  } as unknown as FrontOptions['sessions'];
  const server = createFront({
    sessions,
    handshake: createHandshake(sessions),
    users: { owner: { name: 'owner', password: 'of-the-owner' }, reader: user },
    gate: { normalise: (_, sql) => Promise.resolve(sql), check: () => Promise.resolve() },
    limits: {
      max_execution_time: 1,
      max_result_rows: 1,
      max_result_bytes: 1,
      max_memory_usage: 1,
      max_threads: 1,
    },
    onStuck: () => assert.fail('nothing can be stuck'),
    onError: (error) => assert.fail(error),
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connect = async (client: string): Promise<number> => {
    const before = asked;
    for (const { path, headers, body } of RECORDED.filter((r) => r.isFirst && r.client === client))
      assert.equal(await statusOf(`http://127.0.0.1:${port}${path}`, headers, body), 200, body);
    return asked - before;
  };
  const statusOf = async (url: string, headers: Record<string, string>, body: string) => {
    const authorization = `Basic ${btoa(`${user.name}:${user.password}`)}`;
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...headers, authorization },
      body,
    });
    await answer.arrayBuffer();
    return answer.status;
  };
  for (const client of CLIENTS) await connect(client);
  assert.ok(asked > 0);
  for (const client of CLIENTS) assert.equal(await connect(client), 0, client);
  await new Promise((resolve) => server.close(resolve));
});

test('a body in compressed blocks is refused in words', async () => {
  const { ask } = await opened;
  const { code, text } = await ask('reader', 'SELECT 1', { query: 'decompress=1' });
  assert.equal(code, '48', text);
});
