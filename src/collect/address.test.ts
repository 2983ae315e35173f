/**
 * The address of a visitor is written nowhere: not to the log, not to any other file of the data
 * folder, not to the server's own logs and metrics, not into an answer, whatever goes wrong.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { realClock } from '../base/clock.ts';
import { createHttpServer } from '../base/http.ts';
import type { Logger } from '../base/logger.ts';
import { createMetrics } from '../base/metrics.ts';
import { realDisk } from '../log/disk.ts';
import { openFileLog } from '../log/file.ts';
import type { Log } from '../log/log.ts';
import { collectRoutes } from './http.ts';
import { HTTP_LIMITS } from './limits.ts';
import { openSteps } from './steps.ts';

const ADDRESS = '193.0.6.139';
const ADDRESS_V6 = '2001:67c:2e8:22::c100:68b';
const KEY = 'test-key-1';
const MIB = 1024 * 1024;

test('an address leaves no trace', async (t) => {
  const dataFolder = mkdtempSync(join(tmpdir(), 'clickstream-address-'));
  t.after(() => rmSync(dataFolder, { recursive: true }));
  const written: string[] = [];
  const write = (...words: unknown[]) => written.push(inspect(words, { depth: 20 }));
  const logger = { debug: write, info: write, warn: write, error: write, fatal: write };
  const metrics = createMetrics();
  mkdirSync(join(dataFolder, 'log'));
  const fileLog = await openFileLog({
    folder: join(dataFolder, 'log'),
    partitions: 1,
    segmentBytes: MIB,
    keepMs: 1,
    keepBytes: MIB,
    keepAlwaysMs: 1,
    bytesInFlightMax: MIB,
    disk: realDisk,
    clock: realClock,
    logger: logger as never as Logger,
    onFatal: (error) => write(error),
  });
  let isBroken = false;
  const append: Log['append'] = (records) =>
    isBroken ? Promise.reject(new Error('broken')) : fileLog.append(records);
  const routes = collectRoutes({
    log: Object.assign(Object.create(fileLog), { append }),
    keys: new Map([[KEY, 'shop']]),
    clock: realClock,
    metrics,
    steps: openSteps({ clock: realClock, dataFolder }),
    trustProxy: true,
  });
  const server = createHttpServer(routes, HTTP_LIMITS, logger as never as Logger);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.closeAllConnections());
  const { port } = server.address() as AddressInfo;

  const answers: string[] = [];
  const post = async (body: string, address: string, key = KEY) => {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/events`, {
      method: 'POST',
      body,
      headers: {
        authorization: `Bearer ${key}`,
        'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0',
        'x-forwarded-for': `10.0.0.1, ${address}`,
      },
    });
    answers.push(inspect([...answer.headers]), await answer.text());
    return answer.status;
  };
  for (const address of [ADDRESS, ADDRESS_V6, `${ADDRESS}:4711`, `[${ADDRESS_V6}]:4711`]) {
    assert.equal(await post('{"event_name":"a"}', address), 202);
    assert.equal(await post('[{"event_name":"a"},{}]', address), 202);
    assert.equal(await post('{"event_name":{}}', address), 400);
    assert.equal(await post('nonsense', address), 400);
    assert.equal(await post('{}', address, 'no'), 401);
  }
  isBroken = true;
  assert.equal(await post('{"event_name":"a"}', ADDRESS), 500);
  assert.ok(
    written.some((line) => line.includes('broken')),
    'the fault is in the log',
  );
  isBroken = false;

  const socket = connect(port, '127.0.0.1');
  socket.write(
    `POST /v1/events?key=${KEY} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: ${ADDRESS}\r\ncontent-length: 9\r\n\r\n{`,
  );
  while (!/collect_bytes [1-9]/.test(await metrics.text())) await post('[]', ADDRESS);
  socket.destroy();
  while (!/collect_bytes 0/.test(await metrics.text())) await post('[]', ADDRESS);
  await once(server.close(), 'close');
  await fileLog.close();

  const files = readdirSync(dataFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  const everything = [...files, ...written, ...answers, await metrics.text()].join('\n');
  assert.ok(everything.includes('"country":"NL"'), 'the address was used');
  for (const address of [ADDRESS, ADDRESS_V6, '10.0.0.1']) {
    assert.ok(!everything.includes(address), address);
    assert.ok(!everything.includes(Buffer.from(address).toString('base64')), address);
  }
});
