/**
 * The log in files beyond the contract: when it acknowledges, what it does when the disk is full or
 * fails, what it deletes, and that it stays itself over random use.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { realDisk } from './disk.ts';
import type { Log } from './log.ts';
import type { FileLogOptions } from './open-folder.ts';
import { partitionOf } from './partition-of.ts';
import {
  createHandClock,
  createTestDisk,
  createTestFolder,
  diskError,
  type HandClock,
  type TestFolder,
} from './test-folder.ts';

const ALL = { recordsMax: 1_000_000, bytesMax: 1_000_000_000, waitMs: 0 };
const KB = 1024;

async function inFolder(
  options: Partial<FileLogOptions>,
  work: (folder: TestFolder, log: Log) => Promise<void>,
): Promise<void> {
  const folder = await createTestFolder(options);
  try {
    await work(folder, await folder.open());
  } finally {
    await folder.remove();
  }
}

function record(text: string, key = '') {
  return { key, bytes: Buffer.from(text), timeMs: 1 };
}

async function readTexts(log: Log, partition = 0, from = 0): Promise<string[]> {
  const records = await log.read(partition, from, ALL);
  return records.map(({ bytes }) => Buffer.from(bytes).toString());
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** A point where work waits until it is let through. */
function createGate() {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: opened.resolve,
    pass: () => {
      reached.resolve();
      return opened.promise;
    },
  };
}

const isRecordWrite = (path: string, bytes: Uint8Array) =>
  path.endsWith('.segment') && bytes.some((byte) => byte !== 0);

test('acknowledges and shows a record only after its flush; the rest shares the next one', async () => {
  const gate = createGate();
  let isGated = false;
  let writes = 0;
  const disk = createTestDisk({
    write: (path, bytes) => {
      if (isRecordWrite(path, bytes)) writes += 1;
    },
    fdatasync: (path) => (isGated && path.endsWith('.segment') ? gate.pass() : undefined),
  });
  await inFolder({ disk, segmentBytes: 4 * KB }, async (_, log) => {
    await log.append([record('a')]);
    // The space ahead is reserved by now or waits at the gate as well; the append needs none.
    isGated = true;
    writes = 0;
    let acknowledged = 0;
    const appending = log.append([record('b')]).then(() => {
      acknowledged += 1;
    });
    await gate.reached;
    const more = Array.from({ length: 20 }, (_, i) => log.append([record(`c${i}`)]));
    await nextTurn();
    assert.equal(acknowledged, 0);
    assert.deepEqual(await readTexts(log), ['a']);
    isGated = false;
    gate.open();
    await Promise.all([appending, ...more]);
    assert.equal((await readTexts(log)).length, 22);
    assert.equal(writes, 2);
  });
});

test('finds every record of a large segment, also after it was opened again', () =>
  inFolder({ segmentBytes: 512 * KB }, async (folder, log) => {
    const RECORDS = 2_000;
    for (let next = 0; next < RECORDS; next += 40) {
      const texts = Array.from({ length: 40 }, (_, i) => `${next + i} `.repeat(80));
      await log.append(texts.map((text) => record(text)));
    }
    const readBackwards = async (from: Log) => {
      // So that nothing is known from the read before.
      for (let offset = RECORDS - 1; offset >= 0; offset -= 1) {
        const [found] = await from.read(0, offset, { ...ALL, recordsMax: 1 });
        assert.equal(found?.offset, offset);
        assert.equal(Number.parseInt(Buffer.from(found.bytes).toString(), 10), offset);
      }
    };
    await readBackwards(log);
    await log.close();
    await readBackwards(await folder.open());
  }));

test('refuses at once, and changes nothing, when too much is in flight', () =>
  inFolder({ bytesInFlightMax: 10 * KB }, async (_, log) => {
    const large = record('x'.repeat(6 * KB));
    const first = log.append([large]);
    await assert.rejects(log.append([large]), { code: 'log_full', retryAfterS: 2 });
    const small = log.append([record('small')]);
    assert.deepEqual(await Promise.all([first, small]), [
      [{ partition: 0, offset: 0 }],
      [{ partition: 0, offset: 1 }],
    ]);
    await log.append([large]);
    await assert.rejects(log.append([large, large]), { code: 'too_large' });
  }));

test('refuses at once when the disk is full, and recovers by itself', async () => {
  let isFull = false;
  const clock = createHandClock();
  const tried: (() => void)[] = [];
  const disk = createTestDisk({
    write(path, bytes) {
      if (!isFull || isRecordWrite(path, bytes)) return;
      tried.shift()?.();
      throw diskError('ENOSPC');
    },
  });
  await inFolder({ disk, clock, segmentBytes: 8 * KB, partitions: 2 }, async (folder, log) => {
    await log.append([record('first', 'a'), record('first', '')]);
    isFull = true;
    const sent = ['first'];
    const full = { code: 'log_full', retryAfterS: 2 };
    await assert.rejects(async () => {
      for (let i = 0; i < 1_000; i += 1) {
        const text = String(i % 10).repeat(500);
        await log.append([record(text, 'a'), record(text, '')]);
        sent.push(text);
      }
    }, full);
    assert.ok(sent.length > 3);
    await assert.rejects(log.append([record('x'.repeat(4_000), 'a')]), full);
    // Still full at the next look.
    const lookedAgain = new Promise<void>((resolve) => tried.push(resolve));
    clock.advance(1_000);
    await lookedAgain;
    await assert.rejects(log.append([record('x'.repeat(4_000), 'a')]), full);
    isFull = false;
    const last = 'y'.repeat(4_000);
    const positions = await retryWhileFull(clock, () =>
      log.append([record(last, 'a'), record(last, '')]),
    );
    assert.deepEqual(
      positions.map(({ offset }) => offset),
      [sent.length, sent.length],
    );
    const expected = [...sent, last];
    assert.deepEqual([await readTexts(log, 0), await readTexts(log, 1)], [expected, expected]);
    await log.close();
    const again = await folder.open();
    assert.deepEqual([await readTexts(again, 0), await readTexts(again, 1)], [expected, expected]);
    assert.deepEqual(folder.fatal, []);
  });
});

/** As a sender would, a second later each time. */
async function retryWhileFull<T>(clock: HandClock, append: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await append();
    } catch (error) {
      if (codeOf(error) !== 'log_full') throw error;
      clock.advance(1_000);
      await nextTurn();
    }
  }
}

test('a full file system refuses appends until there is room, and loses nothing', async (t) => {
  const mount = mkdtempSync(join(tmpdir(), 'clickstream-tmpfs-'));
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount], {
      stdio: 'pipe',
    });
  } catch {
    rmdirSync(mount);
    return t.skip('needs the right to mount a small file system');
  }
  const clock = createHandClock();
  try {
    const ballast = join(mount, 'ballast');
    writeFileSync(ballast, Buffer.alloc(100 * KB));
    await inFolder({ folder: mount, clock, segmentBytes: 32 * KB }, async (folder, log) => {
      const sent: string[] = [];
      await assert.rejects(
        async () => {
          for (let i = 0; i < 1_000; i += 1) {
            const text = String(i % 10).repeat(2_000);
            await log.append([record(text)]);
            sent.push(text);
          }
        },
        { code: 'log_full' },
      );
      assert.deepEqual(await readTexts(log), sent);
      assert.equal((await log.stats()).isFull, true);
      rmSync(ballast);
      await retryWhileFull(clock, () => log.append([record('room again')]));
      await log.close();
      const again = await folder.open();
      assert.deepEqual(await readTexts(again), [...sent, 'room again']);
      assert.deepEqual(folder.fatal, []);
    });
  } finally {
    execFileSync('/bin/umount', [mount]);
    rmdirSync(mount);
  }
  return undefined;
});

for (const operation of ['write', 'fdatasync'] as const) {
  test(`a ${operation} that fails is fatal: all that waits is rejected, all that comes refused`, async () => {
    let isBroken = false;
    const fail = (path: string, bytes?: Uint8Array) => {
      if (!isBroken || !path.endsWith('.segment')) return;
      if (bytes === undefined || isRecordWrite(path, bytes)) throw diskError('EIO');
    };
    const folder = await createTestFolder({ disk: createTestDisk({ [operation]: fail }) });
    const log = await folder.open();
    await log.append([record('kept')]);
    isBroken = true;
    const failed = { code: 'log_failed', message: /EIO/ };
    const waiting = [
      assert.rejects(log.append([record('a')]), failed),
      assert.rejects(log.append([record('b')]), failed),
      assert.rejects(log.read(0, 1, { ...ALL, waitMs: 600_000 }), failed),
    ];
    await Promise.all(waiting);
    isBroken = false;
    await assert.rejects(log.append([record('c')]), failed);
    await assert.rejects(log.read(0, 0, ALL), failed);
    await assert.rejects(log.commit(0, 1), failed);
    assert.equal(folder.fatal.length, 1);
    await log.close();
    const again = await folder.open();
    assert.equal((await readTexts(again))[0], 'kept');
    await folder.remove();
  });
}

test('a commit that fails is fatal', async () => {
  let isBroken = false;
  const disk = createTestDisk({
    fdatasync: (path) => {
      if (isBroken && path.endsWith('.commit')) throw diskError('EIO');
    },
  });
  await inFolder({ disk }, async (folder, log) => {
    await log.append([record('a')]);
    isBroken = true;
    const failed = { code: 'log_failed', message: /EIO/ };
    await Promise.all([0, 1].map(() => assert.rejects(log.commit(0, 1), failed)));
    await assert.rejects(log.append([record('b')]), { code: 'log_failed' });
    assert.equal(folder.fatal.length, 1);
  });
});

/** A disk that fails the flush after a write, once; and what is written to that file afterwards. */
function createForgetfulDisk(isMeant: (path: string, bytes: Uint8Array) => boolean) {
  const after: Buffer[] = [];
  let meant: string | undefined;
  let isBroken = true;
  const disk = createTestDisk({
    write: (path, bytes) => {
      if (isBroken && isMeant(path, bytes)) meant = path;
      else if (!isBroken && path === meant) after.push(Buffer.from(bytes));
    },
    fdatasync: (path) => {
      if (!isBroken || path !== meant) return;
      isBroken = false;
      throw diskError('EIO');
    },
  });
  return { disk, after };
}

test('a file of commits whose first flush failed is written again by the next start', async () => {
  // The kernel may hold it as flushed from then on, and a power failure would leave it empty.
  const { disk, after } = createForgetfulDisk((path) => path.endsWith('.commit'));
  const folder = await createTestFolder({ disk });
  await assert.rejects(folder.open(), { code: 'EIO' });
  await folder.open();
  assert.deepEqual(after, [Buffer.alloc(2 * 8_192)]);
  await folder.remove();
});

test('the header of a segment whose first flush failed is written again by the next start', async () => {
  const isBegin = (bytes: Uint8Array): boolean =>
    Buffer.from(bytes).toString('latin1', 0, 7) === 'clicklg';
  const { disk, after } = createForgetfulDisk((_path, bytes) => isBegin(bytes));
  await inFolder({ disk }, async (folder, log) => {
    await assert.rejects(log.append([record('a')]), { code: 'log_failed' });
    await log.close();
    assert.deepEqual(await readTexts(await folder.open()), ['a']);
    assert.ok(after.some(isBegin));
  });
});

test('every start makes the names of the log durable, for the one before may have ended too soon', async () => {
  let synced: string[] = [];
  const syncFolder = async (path: string) => {
    synced.push(path);
    await realDisk.syncFolder(path);
  };
  await inFolder({ disk: { ...realDisk, syncFolder } }, async ({ path, open, close }) => {
    await close();
    synced = [];
    await open();
    for (const each of [path, dirname(path), dirname(dirname(path))]) {
      assert.ok(synced.includes(each), each);
    }
  });
});

const HOUR_MS = 3_600_000;

/** Five segments of two records each, the first `committed` records committed, then time passes. */
async function afterRetention(
  options: Partial<FileLogOptions>,
  { committed, hours }: { committed: number; hours: number },
): Promise<number> {
  const clock = createHandClock();
  let first = 0;
  const all = { clock, segmentBytes: 8 * KB, keepAlwaysMs: HOUR_MS, ...options };
  await inFolder(all, async (folder, log) => {
    for (let i = 0; i < 10; i += 1) await log.append([record(String(i).repeat(3_500))]);
    await log.commit(0, committed);
    clock.advance(hours * HOUR_MS);
    await log.close();
    // Deletes at its start; closing waits for that.
    await (await folder.open()).close();
    const again = await folder.open();
    const gone = await again.read(0, 0, ALL).catch((error: Error) => error);
    if (gone instanceof Error) {
      assert.equal(codeOf(gone), 'log_gone');
      first = Number(/begins at (\d+)/.exec(gone.message)?.[1]);
    }
    assert.equal((await readTexts(again, 0, first)).length, 10 - first);
  });
  return first;
}

test('begins where a time lies at the segment that was begun before it', async () => {
  const clock = createHandClock();
  const folder = await createTestFolder({ clock, segmentBytes: 8 * KB });
  const log = await folder.open();
  const hours: number[] = [];
  for (let hour = 0; hour < 6; hour += 1) {
    hours.push(clock.now());
    const bytes = Buffer.alloc(5 * KB);
    await log.append([{ key: 'x', bytes, timeMs: clock.now() }]);
    clock.advance(HOUR_MS);
  }
  for (const [hour, atMs] of hours.entries()) {
    assert.equal(await log.offsetSince(0, atMs), hour);
    assert.equal(await log.offsetSince(0, atMs - 1), Math.max(0, hour - 1));
  }
  await folder.remove();
});

test('deletes whole segments that are committed and old', async () => {
  const keep = { keepMs: 24 * HOUR_MS };
  const firstAfter = (hours: number, committed: number) =>
    afterRetention(keep, { hours, committed });
  assert.equal(await firstAfter(25, 10), 8);
  assert.equal(await firstAfter(25, 5), 4);
  assert.equal(await firstAfter(25, 1), 0);
  assert.equal(await firstAfter(23, 10), 0);
});

test('deletes what is committed beyond the size, but never what is younger than an hour', async () => {
  const firstAfter = (hours: number, keepBytes: number) =>
    afterRetention({ keepBytes }, { hours, committed: 10 });
  assert.equal(await firstAfter(2, 16 * KB), 4);
  assert.equal(await firstAfter(2, 1024 * KB), 0);
  assert.equal(await firstAfter(0.9, 0), 0);
});

test('stays the same log over random appends, reads, commits and reopenings', async (t) => {
  const PARTITIONS = 2;
  const text = fc.tuple(fc.nat(9), fc.oneof(fc.nat(40), fc.nat(3_000)));
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        append: fc.array(fc.array(text, { maxLength: 6 }), { maxLength: 5 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        read: fc.nat(1_000),
        recordsMax: fc.integer({ min: 1, max: 9 }),
        bytesMax: fc.nat(5_000),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        commit: fc.nat(1_000),
        note: fc.string({ unit: 'grapheme', maxLength: 20 }),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ reopen: true }) },
  );
  const seed = randomInt(2 ** 31);
  t.diagnostic(`seed ${seed}`);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), (steps) =>
      inFolder({ partitions: PARTITIONS, segmentBytes: 24 * KB }, async (folder, opened) => {
        let log = opened;
        const model = Array.from({ length: PARTITIONS }, () => ({
          texts: [] as string[],
          committed: { offset: 0, note: '' },
        }));
        const modelOf = (number: number) => model[number] ?? assert.fail();
        for (const [i, now] of steps.entries()) {
          const number = i % PARTITIONS;
          const { texts, committed } = modelOf(number);
          if ('append' in now) {
            const calls = now.append.map((call) =>
              call.map(([letter, length]) => record(String(letter).repeat(length), String(letter))),
            );
            const answers = await Promise.all(calls.map((records) => log.append(records)));
            for (const [c, positions] of answers.entries()) {
              for (const [r, { partition, offset }] of positions.entries()) {
                const sent = calls[c]?.[r] ?? assert.fail();
                assert.equal(partition, partitionOf(sent.key, PARTITIONS));
                assert.equal(modelOf(partition).texts.length, offset);
                modelOf(partition).texts.push(sent.bytes.toString());
              }
            }
          } else if ('read' in now) {
            const from = now.read % (texts.length + 1);
            const records = await log.read(number, from, { ...now, waitMs: 0 });
            assert.deepEqual(
              records.map(({ offset, bytes }) => [offset, Buffer.from(bytes).toString()]),
              texts.slice(from, from + records.length).map((sent, r) => [from + r, sent]),
            );
            assert.equal(records.length > 0, from < texts.length);
          } else if ('commit' in now) {
            const span = texts.length - committed.offset;
            const offset = committed.offset + (now.commit % (span + 1));
            modelOf(number).committed = { offset, note: now.note };
            await log.commit(number, offset, now.note);
          } else {
            await log.close();
            log = await folder.open();
          }
        }
        for (const [number, { texts, committed }] of model.entries()) {
          assert.deepEqual(await log.committed(number), committed);
          if (texts.length > 0) assert.deepEqual(await readTexts(log, number), texts);
        }
      }),
    ),
    { numRuns: 40, seed, verbose: 1 },
  );
});
