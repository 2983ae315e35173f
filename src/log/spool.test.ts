/**
 * The spool before a shared log that goes away, loses answers and comes back: what was appended is
 * on that log in the end, also when this process is killed, and the bounds refuse instead of drop.
 */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { after, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createSharedLog, type SharedLog } from '../../test/shared-log.ts';
import { AppError } from '../base/errors.ts';
import { createLogger } from '../base/logger.ts';
import type { Log, NewRecord } from './log.ts';
import { createMemoryLog } from './memory.ts';
import { openSpooledLog, type SpooledLog, type SpoolOptions } from './spool.ts';
import {
  createHandClock,
  createTestDisk,
  createTestFolder,
  diskError,
  type HandClock,
  type TestFolder,
} from './test-folder.ts';

const ALL = { recordsMax: 1_000_000, bytesMax: 1_000_000_000, waitMs: 0 };
const HOUR_MS = 3_600_000;
const KEPT_NOT = { keepMs: 0, keepBytes: 0, keepAlwaysMs: 0 };

const folders: TestFolder[] = [];
after(async () => {
  for (const folder of folders) await folder.remove();
});

async function newFolder(options: Parameters<typeof createTestFolder>[0] = {}) {
  const folder = await createTestFolder({ ...KEPT_NOT, ...options });
  folders.push(folder);
  return folder;
}

function record(text: string, timeMs = 1_700_000_000_000): NewRecord {
  return { key: `key of ${text.slice(0, 9)}`, bytes: Buffer.from(text), timeMs };
}

const many = (count: number, name = 'r'): NewRecord[] =>
  Array.from({ length: count }, (_, i) => record(`${name}${i}`));

async function textsOf(log: Log, partition = 0): Promise<string[]> {
  return (await log.read(partition, 0, ALL)).map(({ bytes }) => Buffer.from(bytes).toString());
}

interface Spool {
  log: SpooledLog;
  shared: SharedLog;
  folder: TestFolder;
  clock: HandClock;
  /** Lets time pass until nothing is on the spool. */
  sendAll(): Promise<void>;
}

async function openSpool(
  t: TestContext,
  more: Partial<SpoolOptions> & { folder?: TestFolder; partitions?: number } = {},
): Promise<Spool> {
  const clock = createHandClock(1_700_000_000_000);
  const folder = more.folder ?? (await newFolder());
  const shared = createSharedLog(createMemoryLog({ partitions: more.partitions ?? 1, clock }));
  const log = await openSpooledLog({
    log: shared,
    spool: await folder.open({ clock }),
    bytesMax: 1024 ** 2,
    ageMsMax: 12 * HOUR_MS,
    clock,
    logger: createLogger('silent'),
    onFatal(error) {
      throw error;
    },
    ...more,
  });
  t.after(() => log.close());
  return {
    log,
    shared,
    folder,
    clock,
    async sendAll() {
      while (log.spooled().records > 0) {
        clock.advance(1_000);
        await nextTurn();
      }
    },
  };
}

test('what is appended while the log is away is sent on in order, with its keys and times', async (t) => {
  const { log, shared, sendAll } = await openSpool(t, { partitions: 3 });
  const sent = ['a', '', 'ä€', 'd'].map((text, i) => record(text, 1_700_000_000_000 + i));
  const direct = createMemoryLog({ partitions: 3 });
  await direct.append(sent);
  shared.state = 'away';
  assert.deepEqual(await log.append(sent.slice(0, 3)), []);
  assert.deepEqual(await log.append(sent.slice(3)), []);
  const { records, bytes, oldestMs, isLogAnswering, refusal } = log.spooled();
  assert.deepEqual([records, oldestMs, isLogAnswering], [4, 1_700_000_000_000, false]);
  assert.ok(bytes > 0 && refusal === undefined);
  shared.state = 'here';
  await sendAll();
  for (const partition of [0, 1, 2]) {
    assert.deepEqual(await shared.read(partition, 0, ALL), await direct.read(partition, 0, ALL));
  }
  const empty = { records: 0, bytes: 0, oldestMs: undefined };
  assert.deepEqual(log.spooled(), { ...empty, isLogAnswering: true, refusal: undefined });
});

test('a log that is known to be away is not tried by appends, and is again when it is back', async (t) => {
  const { log, shared, sendAll } = await openSpool(t);
  shared.state = 'away';
  await log.append(many(1));
  await log.append(many(20));
  assert.deepEqual(shared.tries, [1]);
  shared.state = 'here';
  await sendAll();
  assert.deepEqual(await log.append([record('new')]), [{ partition: 0, offset: 21 }]);
});

test('of a log that is away nobody waits until it gives up, and one that only takes nothing is asked', async (t) => {
  const { log, shared, clock } = await openSpool(t);
  const { append, stats } = shared;
  shared.append = async () => {
    throw new AppError('log_unreachable', 'It takes nothing.');
  };
  await log.append([record('a')]);
  // Until it was tried with what is on the spool.
  while (log.spooled().isLogAnswering) await nextTurn();
  assert.deepEqual((await log.stats()).ends, [0]);

  let asked = 0;
  const answer = Promise.withResolvers<void>();
  shared.stats = async () => {
    asked++;
    await answer.promise;
    return stats();
  };
  const all = [log.stats(), log.stats(), log.stats()];
  // And whether it is back is asked as well.
  clock.advance(1_000);
  for (const one of all) await assert.rejects(one, { code: 'log_unreachable' });
  assert.equal(asked, 1);
  Object.assign(shared, { append, stats });
  answer.resolve();
});

test('only what the log does not answer is spooled: its refusals are passed on', async (t) => {
  const { log, shared } = await openSpool(t);
  for (const code of ['log_full', 'too_large', 'log_changed'] as const) {
    shared.onAppend = () => {
      throw new AppError(code, 'No.');
    };
    await assert.rejects(log.append(many(1)), { code });
  }
  assert.equal(log.spooled().records, 0);
});

test('an append whose outcome is not known is on the log twice in the end, never not at all', async (t) => {
  const { log, shared, sendAll } = await openSpool(t);
  shared.state = 'silent';
  await log.append([record('a'), record('b')]);
  shared.state = 'here';
  await sendAll();
  assert.deepEqual(await textsOf(shared), ['a', 'b', 'a', 'b']);
});

test('a batch that was sent on and not answered is sent on again', async (t) => {
  const { log, shared, clock, sendAll } = await openSpool(t);
  shared.state = 'away';
  await log.append([record('a')]);
  shared.state = 'silent';
  while (shared.tries.length < 3) {
    clock.advance(30_000);
    await nextTurn();
  }
  assert.equal(log.spooled().records, 1);
  shared.state = 'here';
  await sendAll();
  const texts = await textsOf(shared);
  assert.ok(texts.length >= 3 && texts.every((text) => text === 'a'));
});

test('beyond its bytes the spool refuses, and everything that it took arrives', async (t) => {
  const { log, shared, sendAll } = await openSpool(t, { bytesMax: 10_000 });
  shared.state = 'away';
  const taken: string[] = [];
  let refused: unknown;
  for (let i = 0; refused === undefined; i++) {
    await log.append([record(`${i}`.padStart(900))]).then(
      () => taken.push(`${i}`.padStart(900)),
      (error: unknown) => {
        refused = error;
      },
    );
  }
  assert.ok(refused instanceof AppError);
  assert.deepEqual([refused.code, refused.status, refused.retryAfterS], ['log_full', 503, 5]);
  assert.match(refused.message, /the spool is full/);
  assert.equal(taken.length, 10);
  shared.state = 'here';
  await sendAll();
  assert.deepEqual(await textsOf(shared), taken);
  await log.append([record('new')]);
});

test('appends that come at once do not go beyond the bytes together', async (t) => {
  const { log, shared } = await openSpool(t, { bytesMax: 10_000 });
  shared.state = 'away';
  const ends = await Promise.allSettled(
    Array.from({ length: 30 }, () => log.append([record('x'.repeat(900))])),
  );
  assert.ok(log.spooled().bytes <= 10_000);
  assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, log.spooled().records);
});

test('beyond its age the spool refuses, says so, and everything that it took arrives', async (t) => {
  const { log, shared, clock, sendAll } = await openSpool(t);
  shared.state = 'away';
  await log.append([record('old', clock.now())]);
  clock.advance(12 * HOUR_MS);
  await log.append([record('just in time', clock.now())]);
  clock.advance(1);
  await assert.rejects(log.append([record('late', clock.now())]), {
    code: 'log_full',
    status: 503,
    retryAfterS: 5,
    message: /has kept its oldest record for as long as it may/,
  });
  assert.match(log.spooled().refusal ?? '', /as long as it may/);
  shared.state = 'here';
  await sendAll();
  assert.deepEqual(await textsOf(shared), ['old', 'just in time']);
  await log.append([record('new')]);
});

test('a full disk below the spool refuses, and what it took arrives', async (t) => {
  let isFull = false;
  const disk = createTestDisk({
    write(path, bytes) {
      // Reserving space is where a full disk is met.
      if (isFull && path.endsWith('.segment') && bytes.every((byte) => byte === 0))
        throw diskError('ENOSPC');
    },
  });
  const folder = await newFolder({ disk, segmentBytes: 32 * 1024 });
  const { log, shared, sendAll } = await openSpool(t, { folder });
  shared.state = 'away';
  await log.append([record('first')]);
  isFull = true;
  const taken = ['first'];
  for (let i = 0; i < 200; i++) {
    const text = `${i}`.padStart(1_000);
    await log.append([record(text)]).then(
      () => taken.push(text),
      (error: AppError) => assert.equal(error.code, 'log_full'),
    );
  }
  assert.ok(taken.length < 200);
  shared.state = 'here';
  await sendAll();
  assert.deepEqual(await textsOf(shared), taken);
});

test('what is on the spool when the process ends is sent on by the next one', async (t) => {
  const folder = await newFolder();
  const first = await openSpool(t, { folder });
  first.shared.state = 'away';
  await first.log.append(many(30));
  const { records, bytes } = first.log.spooled();
  await first.log.close();
  const { log, shared, sendAll } = await openSpool(t, { folder });
  assert.deepEqual([log.spooled().records, log.spooled().bytes], [records, bytes]);
  await sendAll();
  assert.deepEqual(
    await textsOf(shared),
    many(30).map(({ bytes }) => String(bytes)),
  );
});

test('a kill at any batch of sending on loses nothing: what was not confirmed is sent again', async (t) => {
  const { log, shared, folder, sendAll } = await openSpool(t);
  shared.state = 'away';
  const sent = many(1_700);
  await log.append(sent);
  const images: { folder: TestFolder; before: string[] }[] = [];
  // The folder as a kill would leave it, before or after the batch has come to the log.
  shared.onAppend = async () => {
    const image = await newFolder();
    await cp(folder.path, image.path, { recursive: true });
    images.push({ folder: image, before: await textsOf(shared) });
  };
  shared.state = 'here';
  await sendAll();
  assert.ok(images.length > 3);
  for (const image of images) {
    const again = await openSpool(t, { folder: image.folder });
    await again.sendAll();
    const all = new Set([...image.before, ...(await textsOf(again.shared))]);
    assert.deepEqual(
      sent.filter(({ bytes }) => !all.has(String(bytes))),
      [],
    );
  }
});

test('new appends do not wait for the spool to be empty', async (t) => {
  const { log, shared, sendAll } = await openSpool(t);
  shared.state = 'away';
  for (let i = 0; i < 5; i++) await log.append(many(1_000, `${i}.`));
  let direct: Promise<unknown> | undefined;
  let isSent = false;
  let left = 0;
  shared.onAppend = () => {
    if (isSent || !log.spooled().isLogAnswering) return;
    isSent = true;
    direct = log.append([record('direct')]).then((positions) => {
      assert.equal(positions.length, 1);
      left = log.spooled().records;
    });
  };
  shared.state = 'here';
  await sendAll();
  await direct;
  assert.ok(left > 3_000, `${left} were left`);
  assert.ok(Math.max(...shared.tries.slice(1)) <= 500);
});

test('a log that takes less at once than it is offered gets less', async (t) => {
  const { log, shared, sendAll } = await openSpool(t);
  shared.state = 'away';
  await log.append(many(100));
  shared.onAppend = (records) => {
    if (records.length > 7) throw new AppError('too_large', 'Less.');
  };
  shared.state = 'here';
  await sendAll();
  assert.equal((await textsOf(shared)).length, 100);
});

test('a log that is full while it is sent to gets the rest later', async (t) => {
  const { log, shared, sendAll } = await openSpool(t);
  shared.state = 'away';
  await log.append(many(1_200));
  let refusals = 3;
  shared.onAppend = () => {
    if (refusals-- > 0) throw new AppError('log_full', 'Later.');
  };
  shared.state = 'here';
  await sendAll();
  assert.equal((await textsOf(shared)).length, 1_200);
});

test('what was sent on behind younger records counts as waiting since its own time', async (t) => {
  const { log, shared, clock, sendAll } = await openSpool(t);
  const oldMs = clock.now();
  shared.state = 'away';
  await log.append([record('old', oldMs)]);
  clock.advance(HOUR_MS);
  shared.state = 'silent';
  // It comes before the others, from another process.
  await shared.append([record('young', clock.now())]).catch(() => undefined);
  shared.state = 'here';
  await sendAll();
  assert.deepEqual((await log.stats()).oldestWaitingMs, [oldMs]);
  const texts = await textsOf(shared);
  await log.commit(0, texts.lastIndexOf('old') + 1);
  assert.deepEqual((await log.stats()).oldestWaitingMs, [undefined]);
});

test('the oldest record on the spool is told wherever it lies, also by the next process', async (t) => {
  const folder = await newFolder();
  const first = await openSpool(t, { folder });
  first.shared.state = 'away';
  const nowMs = first.clock.now();
  // As one that has waited for the log's answer in vain comes behind younger ones.
  for (const ageMs of [50, 70, 90, 60])
    await first.log.append(many(1_000).map((r) => ({ ...r, timeMs: nowMs - ageMs })));
  const ageOf = ({ log }: Spool): number => nowMs - (log.spooled().oldestMs ?? nowMs);
  assert.equal(ageOf(first), 90);
  const ages: number[] = [];
  first.shared.onAppend = () => {
    ages.push(ageOf(first));
    if (ages.length > 6) throw new AppError('log_full', 'Later.');
  };
  first.shared.state = 'here';
  while (ages.length < 7) {
    first.clock.advance(1_000);
    await nextTurn();
  }
  assert.deepEqual(ages, [90, 90, 90, 90, 90, 90, 60]);
  await first.log.close();
  const next = await openSpool(t, { folder });
  assert.equal(ageOf(next), 60);
});

test('without a size the spool takes nothing more, and sends on what it has', async (t) => {
  const folder = await newFolder();
  const first = await openSpool(t, { folder });
  first.shared.state = 'away';
  await first.log.append(many(3));
  await first.log.close();
  const { log, shared, sendAll } = await openSpool(t, { folder, bytesMax: 0 });
  shared.state = 'away';
  for (let i = 0; i < 2; i++)
    await assert.rejects(log.append(many(1, 'new')), { code: 'log_unreachable' });
  shared.state = 'here';
  await sendAll();
  assert.deepEqual(await textsOf(shared), ['r0', 'r1', 'r2']);
});

test('an append that the log ends unanswered while all is closed is on the spool', async (t) => {
  const folder = await newFolder();
  const { log, shared } = await openSpool(t, { folder });
  const { promise, reject } = Promise.withResolvers<void>();
  shared.onAppend = () => promise;
  shared.close = async () => {
    setImmediate(() => reject(new AppError('log_unreachable', 'It is closed.')));
  };
  const appending = log.append([record('a')]);
  await log.close();
  assert.deepEqual(await appending, []);
  const spool = await folder.open();
  assert.deepEqual((await spool.stats()).ends, [1]);
  await spool.close();
});

test('a log that is away and cannot be closed does not keep the spool open', async (t) => {
  const folder = await newFolder();
  const { log, shared, clock } = await openSpool(t, { folder });
  shared.state = 'away';
  await log.append(many(3));
  shared.stats = () => new Promise(() => undefined);
  shared.close = () => new Promise(() => undefined);
  const closing = log.close();
  clock.advance(1_000);
  await closing;
  const spool = await folder.open();
  assert.deepEqual((await spool.stats()).ends, [3]);
  await spool.close();
});
