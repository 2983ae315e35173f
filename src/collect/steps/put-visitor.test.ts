/** Visitors and sessions without cookies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Draft } from '../../event/parse.ts';
import type { Arrival } from '../step.ts';
import { putVisitor } from './put-visitor.ts';

const ANNA = { projectId: 'shop', address: '198.51.100.7', userAgent: 'Mozilla/5.0 A' };

function put(sender: Partial<Arrival>, fields: Partial<Draft> = {}, salt = 'monday') {
  const event: Draft = { v: 1, project_id: 'shop', received_at: 0, event_name: 'x', ...fields };
  putVisitor(() => salt)({ ...ANNA, ...sender } as Arrival)(event);
  return { visitor: event.visitor_id, session: event.session_id };
}

test('the same address and browser is the same visitor and session for a day', () => {
  const seen = put({});
  assert.match(seen.visitor ?? '', /^[\w-]{16}$/);
  assert.match(seen.session ?? '', /^[\w-]{16}$/);
  assert.notEqual(seen.visitor, seen.session);
  assert.deepEqual(put({}), seen);
});

test('another address, browser, project or day is another visitor', () => {
  const all = [
    put({}),
    put({ address: '198.51.100.8' }),
    put({ userAgent: 'Mozilla/5.0 B' }),
    put({ projectId: 'blog' }),
    put({}, {}, 'tuesday'),
  ];
  assert.equal(new Set(all.map(({ visitor }) => visitor)).size, all.length);
  assert.equal(new Set(all.map(({ session }) => session)).size, all.length);
});

test('the parts cannot be shifted into one another', () => {
  const one = put({ address: 'a', userAgent: 'bc' });
  assert.notDeepEqual(one, put({ address: 'ab', userAgent: 'c' }));
});

test('what the sender knows wins', () => {
  const known = { visitor_id: 'v1', session_id: 's1' };
  assert.deepEqual(put({}, known), { visitor: 'v1', session: 's1' });
});

test('a known session stands for the visitor, as one program sends for many', () => {
  assert.deepEqual(put({}, { session_id: 's1' }), { visitor: 's1', session: 's1' });
});

test('a known visitor has one session a day, from wherever it comes', () => {
  const home = put({}, { visitor_id: 'v1' });
  assert.equal(home.visitor, 'v1');
  assert.deepEqual(put({ address: '198.51.100.9' }, { visitor_id: 'v1' }), home);
  assert.notEqual(put({}, { visitor_id: 'v2' }).session, home.session);
  assert.notEqual(put({}, { visitor_id: 'v1' }, 'tuesday').session, home.session);
});
