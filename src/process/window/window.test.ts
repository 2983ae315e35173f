/** The window of event ids: exact where it can be, honest where it cannot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createKeyHash } from './key-hash.ts';
import { createWindow, type FirstCopy } from './window.ts';

/** 100 ids exactly, and 120 buckets of 4 for others. */
const limits = { windowMs: 1_000, idsMax: 100, bytesMax: 100 * 40 + 120 * 10 };

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

test('an id whose copy was not stored after all is asked for: an older one may be', () => {
  const window = createWindow(limits);
  window.add('a', { offset: 7, timeMs: 5_000 });
  window.add('a', { offset: 9, timeMs: 7_000 });
  window.forget('a');
  // The clock was set back.
  assert.equal(window.find('a', 5_500), 'ask');
});

test('an id that the store may get a copy of from others is asked for, in the window', () => {
  for (const bytesMax of [limits.bytesMax, 0]) {
    const window = createWindow({ ...limits, bytesMax });
    window.suspect('a', 5_000);
    assert.equal(window.find('a', 5_999), 'ask');
    assert.equal(window.find('a', 6_000), undefined);
  }
});

test('an id that no longer fits is asked for, never forgotten', () => {
  const window = createWindow(limits);
  for (let i = 0; i < 250; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_000 });
  assert.equal(window.size, 100);
  assert.equal(window.find('id-0', 5_001), 'ask');
  assert.deepEqual(window.find('id-249', 5_001), { offset: 249, timeMs: 5_000 });
});

test('nearly every id that is new is known to be new, without asking', () => {
  const window = createWindow({ ...limits, bytesMax: 1_000_000 });
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

test('a copy in the window is found where it lies or asked for, and no other is found', () => {
  const id = fc.integer({ min: 0, max: 60 });
  const step = fc.oneof(
    { weight: 12, arbitrary: fc.record({ is: fc.constant('event' as const), id }) },
    {
      weight: 2,
      arbitrary: fc.record({ is: fc.constant('load' as const), id, agoMs: fc.nat(900) }),
    },
    { weight: 1, arbitrary: fc.record({ is: fc.constant('forget' as const), id }) },
    // Of a clock that goes, and of one that is set.
    { weight: 6, arbitrary: fc.record({ is: fc.constant('clock' as const), byMs: fc.nat(90) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        is: fc.constant('clock' as const),
        byMs: fc.integer({ min: -2_000, max: 2_000 }),
      }),
    },
  );
  const window = fc.record({
    windowMs: fc.constant(500),
    idsMax: fc.integer({ min: 1, max: 30 }),
    filterBytesMax: fc.constantFrom(0, 100, 480, 2_000),
    secret: fc.int32Array({ minLength: 4, maxLength: 4 }),
  });
  fc.assert(
    fc.property(window, fc.array(step, { maxLength: 400, size: 'max' }), (how, steps) => {
      const { windowMs, idsMax, filterBytesMax, secret } = how;
      const tested = createWindow(
        { windowMs, idsMax, bytesMax: idsMax * 40 + filterBytesMax },
        createKeyHash(secret),
      );
      /** All that is known of each id, and what must be held exactly, oldest first. */
      const copies = new Map<string, FirstCopy[]>();
      const exact: { key: string; copy: FirstCopy }[] = [];
      let timeMs = 10_000;
      for (const [offset, now] of steps.entries()) {
        if (now.is === 'clock') {
          timeMs += now.byMs;
          continue;
        }
        const key = `id-${now.id}`;
        const known = copies.get(key) ?? [];
        copies.set(key, known);
        if (now.is === 'load') {
          const copy = { offset: -1, timeMs: timeMs - now.agoMs };
          if (tested.load(key, copy.timeMs)) known.push(copy);
        } else if (now.is === 'forget') {
          const held = exact.findLast((one) => one.key === key);
          if (held === undefined) continue;
          tested.forget(key);
          known.splice(known.indexOf(held.copy), 1);
          exact.splice(exact.indexOf(held), 1, { key: '', copy: held.copy });
        } else {
          const within = known.filter((copy) => copy.timeMs > timeMs - windowMs);
          const found = tested.find(key, timeMs);
          const held = exact.findLast((one) => one.key === key)?.copy;
          if (held !== undefined && within.includes(held)) assert.deepEqual(found, held);
          else if (within.length > 0) assert.equal(found, 'ask');
          else assert.ok(found === undefined || found === 'ask');
          if (within.length > 0) continue;
          const copy = { offset, timeMs };
          tested.add(key, copy);
          known.push(copy);
          // An id is held once, and one that is forgotten takes its place until its turn comes.
          const older = exact.find((one) => one.key === key);
          if (older !== undefined) older.key = '';
          exact.push({ key, copy });
          if (exact.length > idsMax) exact.shift();
        }
        assert.equal(tested.size, exact.filter((one) => one.key !== '').length);
      }
    }),
    { verbose: 1, numRuns: 1_000 },
  );
});

test('a clock that ran ahead and was set back makes nothing forgotten', () => {
  const window = createWindow(limits);
  for (let i = 0; i < 150; i++) window.add(`before-${i}`, { offset: i, timeMs: 5_000 });
  for (let i = 0; i < 200; i++) window.add(`ahead-${i}`, { offset: i, timeMs: 900_000 });
  assert.equal(window.find('before-0', 5_100), 'ask');
  assert.equal(window.find('new', 900_500), undefined, 'what is new is still known to be');
});

test('an id that was forgotten is new, and the others are found as before', () => {
  const window = createWindow(limits);
  for (let i = 0; i < 100; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_000 });
  for (let i = 0; i < 100; i += 3) window.forget(`id-${i}`);
  assert.equal(window.size, 66);
  for (let i = 0; i < 100; i++) {
    const copy = i % 3 === 0 ? undefined : { offset: i, timeMs: 5_000 };
    assert.deepEqual(window.find(`id-${i}`, 5_001), copy);
  }
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
  let loaded = 0;
  while (full.load(`id-${loaded}`, 5_000)) loaded++;
  assert.ok(loaded > 360 && loaded <= 480, `${loaded} ids in 480 places`);
  const window = createWindow(limits);
  assert.ok(window.load('old', 5_000));
  // The filters of what comes in meanwhile take the place of the one that is loaded.
  for (let i = 0; i < 1_000; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_500 });
  assert.equal(window.load('older', 4_900), false);
  assert.equal(window.find('old', 5_501), 'ask');
});

test('what has left the window makes room, so that nothing new is asked for in the long run', () => {
  const window = createWindow(limits);
  for (let i = 0; i < 2_000; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_000 + i * 4 });
  // 250 ids lie in the window; all of them fit, so none is asked for but those.
  assert.equal(window.find('never seen', 13_000), undefined);
  assert.equal(window.find('id-1760', 13_000), 'ask');
  assert.deepEqual(window.find('id-1999', 13_000), { offset: 1_999, timeMs: 12_996 });
});

test('a filter whose ids have left the window is dropped before its room is needed', () => {
  const window = createWindow({ ...limits, bytesMax: 16_000 });
  for (let i = 0; i < 2_000; i++) window.add(`id-${i}`, { offset: i, timeMs: 5_000 + i * 4 });
  assert.equal(window.find('never seen', 13_000), undefined);
  // Of a clock that was set back: whoever may have been in it is asked for.
  assert.equal(window.find('never seen', 5_001), 'ask');
});
