/** The window of event ids: exact where it can be, honest where it cannot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createWindow } from './window.ts';

const limits = { windowMs: 1_000, idsMax: 100, filterIdsMax: 100, filtersMax: 2 };

test('finds the first copy of an id within the window, and not after it', () => {
  const window = createWindow(limits);
  window.add('a', { offset: 7, timeMs: 5_000 });
  assert.deepEqual(window.find('a', 5_999), { offset: 7, timeMs: 5_000 });
  assert.equal(window.find('a', 6_000), undefined);
  assert.equal(window.find('b', 5_000), undefined);
});

test('an id that comes again after the window has a new first copy', () => {
  const window = createWindow(limits);
  window.add('a', { offset: 7, timeMs: 5_000 });
  window.add('a', { offset: 9, timeMs: 7_000 });
  assert.deepEqual(window.find('a', 7_500), { offset: 9, timeMs: 7_000 });
});

test('an id that no longer fits is asked for, never forgotten', () => {
  const window = createWindow(limits);
  for (let i = 0; i < 250; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_000 });
  assert.equal(window.size, 100);
  assert.equal(window.find('id-0', 5_001), 'ask');
  assert.deepEqual(window.find('id-249', 5_001), { offset: 249, timeMs: 5_000 });
});

test('nearly every id that is new is known to be new, without asking', () => {
  const window = createWindow({ ...limits, filterIdsMax: 10_000, filtersMax: 4 });
  for (let i = 0; i < 10_000; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_000 });
  let asked = 0;
  for (let i = 0; i < 100_000; i++) if (window.find(`new-${i}`, 5_001) === 'ask') asked++;
  assert.ok(asked <= 10, `${asked} of 100,000 new ids would be asked for`);
});

test('with more ids than the filters hold, every unknown id is asked for', () => {
  const window = createWindow(limits);
  for (let i = 0; i < 1_000; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_000 });
  assert.equal(window.find('never seen', 5_001), 'ask');
  assert.equal(window.find('never seen', 6_001), undefined);
});

test('whatever is added and however little fits, a copy in the window is found or asked for', () => {
  const step = fc.record({
    id: fc.integer({ min: 0, max: 40 }),
    gapMs: fc.integer({ min: 0, max: 90 }),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 400 }),
      fc.integer({ min: 1, max: 50 }),
      (steps, idsMax) => {
        const window = createWindow({ windowMs: 500, idsMax, filterIdsMax: 20, filtersMax: 2 });
        const firsts = new Map<string, number>();
        let timeMs = 10_000;
        for (const [offset, { id, gapMs }] of steps.entries()) {
          timeMs += gapMs;
          const key = `id-${id}`;
          const first = firsts.get(key);
          const isRepeated = first !== undefined && first > timeMs - 500;
          const found = window.find(key, timeMs);
          if (isRepeated) assert.ok(found === 'ask' || found?.timeMs === first);
          else assert.ok(found === undefined || found === 'ask');
          if (isRepeated) continue;
          firsts.set(key, timeMs);
          window.add(key, { offset, timeMs });
        }
      },
    ),
    { verbose: 1 },
  );
});

test('a clock that ran ahead and was set back makes nothing forgotten', () => {
  const window = createWindow({ ...limits, idsMax: 2, filterIdsMax: 3 });
  for (const id of 'abcde') window.add(id, { offset: 0, timeMs: 5_000 });
  for (const id of 'xyz') window.add(id, { offset: 0, timeMs: 900_000 });
  assert.equal(window.find('a', 5_100), 'ask');
  assert.equal(window.find('new', 900_500), undefined, 'what is new is still known to be');
});

test('what was not loaded is asked for by those who may have a copy in it', () => {
  const window = createWindow(limits);
  window.loadedSince(5_000);
  assert.equal(window.find('a', 5_999), 'ask');
  assert.equal(window.find('a', 6_000), undefined);
});

test('an id that was loaded is asked for, any other is known to be new', () => {
  const window = createWindow(limits);
  window.loadedSince(5_000);
  assert.equal(window.find('new', 5_001), 'ask');
  for (let i = 0; i < 150; i++) assert.ok(window.load(`id-${i}`, 5_000));
  window.loadedSince(4_000);
  assert.equal(window.find('new', 5_001), undefined);
  assert.equal(window.find('id-0', 5_001), 'ask');
  assert.equal(window.find('id-149', 5_001), 'ask');
});

test('no more is loaded than the filters hold, nor into one that was dropped meanwhile', () => {
  const full = createWindow(limits);
  for (let i = 0; i < 200; i++) assert.ok(full.load(`id-${i}`, 5_000));
  assert.equal(full.load('one more', 5_000), false);
  const window = createWindow(limits);
  assert.ok(window.load('old', 5_000));
  // The filters of what comes in meanwhile take the place of the one that is loaded.
  for (let i = 0; i < 400; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_500 });
  assert.equal(window.load('older', 4_900), false);
  assert.equal(window.find('old', 5_501), 'ask');
});
