/**
 * docs/events.md is true: its tables are those of the code, its examples answer as they say.
 * When a table differs, the message shows the one to put there.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { realClock } from '../base/clock.ts';
import { createHttpServer } from '../base/http.ts';
import { createLogger } from '../base/logger.ts';
import { createMetrics } from '../base/metrics.ts';
import { FIELDS, type Kind } from '../event/event.ts';
import { EVENT_LIMITS, RESERVED } from '../event/parse.ts';
import { REASONS } from '../event/rejection.ts';
import { createMemoryLog } from '../log/memory.ts';
import { collectRoutes } from './http.ts';
import { BODY_LIMITS, HTTP_LIMITS, LOAD_LIMITS } from './limits.ts';
import { CHANNELS } from './steps/put-channel.ts';
import { openSteps } from './steps.ts';

const page = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8');
const number = (value: number) => value.toLocaleString('en');
const bytes = (value: number) =>
  value >= 2 ** 20 ? `${value / 2 ** 20} MiB` : `${value / 2 ** 10} KiB`;

function section(name: string): string {
  const found = new RegExp(`<!-- ${name}\\b[^>]*-->\\n?(.*?)<!-- /${name} -->`, 's').exec(page);
  assert.ok(found?.[1] !== undefined, `the page has a section ${name}`);
  return found[1];
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`;
  return `${line(head)}|${'---|'.repeat(head.length)}\n${rows.map(line).join('')}`;
}

function takes(kind: Kind): string {
  switch (kind.is) {
    case 'text':
      return `text, up to ${number(kind.charsMax)} characters`;
    case 'integer':
      return `whole number, ${number(kind.min)} to ${number(kind.max)}`;
    case 'money':
      return 'amount';
    default:
      return kind.is;
  }
}

test('the table of fields is that of the code', () => {
  const rows = Object.entries(FIELDS).map(([name, { kind, says }]) => [
    `\`${name}\``,
    takes(kind),
    says,
  ]);
  assert.equal(section('fields'), table(['field', 'takes', 'is'], rows));
});

test('the reasons for refusing are those of the code', () => {
  const rows = Object.entries(REASONS).map(([reason, says]) => [`\`${reason}\``, says]);
  assert.equal(section('reasons'), table(['reason', ''], rows));
});

test('the reserved names and the channels are those of the code', () => {
  assert.equal(section('reserved'), RESERVED.map((name) => `\`${name}\``).join(', '));
  assert.equal(section('channels'), CHANNELS.join(', '));
});

test('the limits are those of the code', () => {
  const rows = [
    ['body, as received', bytes(BODY_LIMITS.bodyBytesMax), '413'],
    ['body, unpacked', bytes(BODY_LIMITS.unpackedBytesMax), '413'],
    [
      `levels of a body above ${bytes(BODY_LIMITS.depthFreeBytes)}`,
      number(BODY_LIMITS.depthMax),
      '400',
    ],
    ['events of a request', number(BODY_LIMITS.eventsMax), '413'],
    ['one event, as it is kept', bytes(EVENT_LIMITS.bytesMax), '`too_large`'],
    ['levels of an event, itself the first', `${EVENT_LIMITS.depthMax}`, '`too_deep`'],
    [
      'names in the properties, on all levels',
      `${EVENT_LIMITS.propertiesMax}`,
      '`too_many_properties`',
    ],
    ['items', `${EVENT_LIMITS.itemsMax}`, '`too_many_items`'],
    ['headers', bytes(HTTP_LIMITS.headerBytesMax), '431'],
    ['time until the headers are there', `${HTTP_LIMITS.headersTimeoutMs / 1000} s`, '408'],
    ['time until the body is there', `${HTTP_LIMITS.requestTimeoutMs / 1000} s`, '408'],
    ['connections', number(HTTP_LIMITS.connectionsMax), 'closed'],
    ['connections of one address', number(HTTP_LIMITS.addressConnectionsMax), 'closed'],
    ['requests of one address at once', `${LOAD_LIMITS.addressRequestsMax}`, '429'],
    ['bytes of one address at once', bytes(LOAD_LIMITS.addressBytesMax), '429'],
    ['bytes of all senders at once', bytes(LOAD_LIMITS.bytesMax), '503'],
  ];
  assert.equal(section('limits'), table(['what', 'limit', 'beyond'], rows));
});

test('the examples answer as the page says', async (t) => {
  const dataFolder = mkdtempSync(join(tmpdir(), 'clickstream-docs-'));
  const routes = collectRoutes({
    log: createMemoryLog({ partitions: 1 }),
    keys: new Map([['shop-dev-key', 'shop']]),
    clock: realClock,
    metrics: createMetrics(),
    steps: openSteps({ clock: realClock, dataFolder }),
    trustProxy: false,
  });
  const server = createHttpServer(routes, HTTP_LIMITS, createLogger('silent'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    await once(server.close(), 'close');
    rmSync(dataFolder, { recursive: true });
  });
  const here = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const examples = [...page.matchAll(/```sh\n(.*?)```\n```json\n(.*?)```/gs)];
  assert.ok(examples.length >= 3);
  for (const [, command = '', answer = ''] of examples) {
    assert.match(command, /http:\/\/127\.0\.0\.1:3900/);
    const line = command.replaceAll('http://127.0.0.1:3900', here);
    const { stdout } = await promisify(execFile)('bash', ['-c', line]);
    assert.equal(stdout, answer.trim(), command);
  }
});
