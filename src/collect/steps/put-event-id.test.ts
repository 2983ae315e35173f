/** Ids for events that have none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Draft } from '../../event/parse.ts';
import type { Arrival } from '../step.ts';
import { putEventId } from './put-event-id.ts';

const draft = (): Draft => ({ v: 1, project_id: 'shop', received_at: 0, event_name: 'x' });

test('gives an id of its own to each event that has none', () => {
  const put = putEventId({} as Arrival);
  const [one, two, three] = [draft(), draft(), { ...draft(), event_id: 'mine' }];
  for (const event of [one, two, three]) put(event);
  assert.match(one.event_id ?? '', /^[0-9a-f-]{36}$/);
  assert.notEqual(one.event_id, two.event_id);
  assert.equal(three.event_id, 'mine');
});
