/** Bodies as senders write them → the events in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BODY_LIMITS } from './limits.ts';
import { BadLine, splitBody } from './split.ts';

const split = (body: string | Buffer, type?: string) =>
  splitBody(Buffer.from(body as string), type, BODY_LIMITS);
const A = { event_name: 'a' };
const B = { event_name: 'b' };
const JSON_A = JSON.stringify(A);
const JSON_B = JSON.stringify(B);

test('one event, a list, an envelope, or lines', () => {
  const bodies: [body: string, events: unknown[], sentAt?: unknown][] = [
    [JSON_A, [A]],
    [`\ufeff${JSON_A}\n`, [A]],
    [`[${JSON_A},${JSON_B}]`, [A, B]],
    ['[]', []],
    [`{"events":[${JSON_A}],"sent_at":7}`, [A], 7],
    [`{"sent_at":"x","events":[${JSON_A},1],"more":1}`, [A, 1], 'x'],
    ['{"events":[]}', []],
    ['{"event_name":"a","events":[1]}', [{ event_name: 'a', events: [1] }]],
    ['{"events":{}}', [{ events: {} }]],
    [`${JSON_A}\n${JSON_B}`, [A, B]],
    [`\n${JSON_A}\r\n\r\n${JSON_B}\r\n`, [A, B]],
    ['1', [1]],
    ['null', [null]],
  ];
  for (const [body, events, sentAt] of bodies) {
    const inputs = split(body);
    assert.deepEqual(inputs.events, events, body);
    assert.equal(inputs.sentAt, sentAt, body);
  }
});

test('a line that is not JSON keeps its place', () => {
  assert.deepEqual(split(`${JSON_A}\nnope\n${JSON_B}\n`).events, [A, new BadLine('nope'), B]);
  assert.deepEqual(split(`nope\n${JSON_A}`, 'application/x-ndjson').events, [
    new BadLine('nope'),
    A,
  ]);
  assert.deepEqual(split(JSON_A, 'application/x-ndjson; charset=utf-8').events, [A]);
  assert.deepEqual(split('', 'application/jsonl').events, []);
});

test('what is no JSON at all is refused as a whole', () => {
  for (const body of ['', '  ', 'nope', '{', `nope\n${JSON_A}`, `${JSON_A}${JSON_B}`, '{"a":1}}']) {
    assert.throws(() => split(body), { code: 'not_json' }, body);
  }
  assert.throws(() => split(Buffer.from([0x22, 0xc3, 0x28, 0x22])), { code: 'not_json' });
  assert.throws(() => split(Buffer.from('"x"', 'utf16le')), { code: 'not_json' });
});

test('more events than are taken are refused before one of them is looked at', () => {
  const { eventsMax } = BODY_LIMITS;
  const list = (count: number) => `[${Array(count).fill('1').join()}]`;
  const lines = (count: number) => Array(count).fill(JSON_A).join('\n');
  for (const make of [list, lines, (count: number) => `{"events":${list(count)}}`]) {
    assert.equal(split(make(eventsMax)).events.length, eventsMax);
    assert.throws(() => split(make(eventsMax + 1)), { code: 'too_large' });
  }
});

test('a long body nested without end is refused before it is parsed', () => {
  const { depthMax, depthFreeBytes } = BODY_LIMITS;
  const pad = `"${'\\"['.repeat(depthFreeBytes / 3)}"`;
  const nested = (levels: number) => `[${'['.repeat(levels)}${']'.repeat(levels)},${pad}]`;
  assert.equal(split(nested(depthMax - 1)).events.length, 2, 'brackets within a text are text');
  assert.throws(() => split(nested(depthMax)), { code: 'bad_request' });
  assert.throws(() => split('['.repeat(1_000_000)), { code: 'bad_request' });
  assert.throws(() => split('{"a":'.repeat(200_000)), { code: 'bad_request' });
  const short = `${'['.repeat(depthMax * 2)}${']'.repeat(depthMax * 2)}`;
  assert.equal(split(short).events.length, 1);
});

test('knows whether a text can hold what only an escape brings', () => {
  assert.equal(split('{"event_name":"\\u0000"}').escaped, true);
  assert.equal(split('{"event_name":"ä\\n"}').escaped, false);
});
