/**
 * A disk that runs full, under the log and under the store: the sender is told when to try again, or
 * notices nothing; with room again the system goes on by itself, and every acknowledged event is
 * there once.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../src/base/errors.ts';
import { letWrites } from '../../src/engine/test-engine.ts';
import { removeFolder, startSystem, temporaryFolder } from '../system.ts';
import {
  accessOf,
  faultOf,
  type Judged,
  judge,
  readProgress,
  storeFolderOf,
  type Verdict,
} from './judge.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { KEYS, type Sender, startSender } from './sender.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

const DISK_MB = 160;
const LOOK_AGAIN_MS = 20;
/** So many records wait on the log before the room is given back. */
const WAITING = 3_000;

const ENVIRONMENT = {
  CLICKSTREAM_KEYS: `shop:${KEYS.shop}`,
  CLICKSTREAM_LOG_SEGMENT_MB: '1',
  CLICKSTREAM_LOG_LEVEL: 'warn',
};

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(LOOK_AGAIN_MS);
}

const readyStatus = async (url: string): Promise<number> => (await fetch(`${url}/ready`)).status;

function startSenders(url: string, ledger: Ledger): Sender[] {
  return ['a', 'b', 'c'].map((name, i) =>
    startSender({ urls: [url], name, project: 'shop', seed: i + 1, ledger }),
  );
}

/** What met the full disk may have left a part that is only put right by the engine's next start. */
async function judgeWhenReadable(judged: Judged): Promise<Verdict> {
  for (;;) {
    try {
      return await judge(judged);
    } catch (error) {
      if (!(error instanceof AppError) || !error.code.startsWith('store_')) throw error;
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

async function smallDisk(t: TestContext): Promise<SmallDisk | undefined> {
  const disk = await mountSmallDisk(DISK_MB);
  if (typeof disk !== 'string') return disk;
  t.skip(disk);
  return undefined;
}

test('with the disk of log and store full a sender is told so, and nothing is lost or doubled', async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const data = join(disk.folder, 'data');
  const ledger = createLedger();
  const system = await startSystem(data, ENVIRONMENT);
  const senders = startSenders(system.url, ledger);
  try {
    await ledger.nextAcknowledged();
    // What is reserved is used up first; the store gives room back when it merges.
    await until(async () => {
      await disk.fill();
      return ledger.refusals.length > 0;
    });
    for (const { status, retryAfter } of ledger.refusals) {
      assert.equal(status, 503);
      assert.match(retryAfter ?? '', /^\d+$/);
    }
    await until(async () => (await readyStatus(system.url)) === 503);
    await disk.free();
    await ledger.nextAcknowledged();
    await until(async () => (await readyStatus(system.url)) === 200);
    await Promise.all(senders.map((sender) => sender.stop()));
    assert.equal(system.child.exitCode, null, 'it went on without a restart');
    const verdict = await judgeWhenReadable({
      url: system.url,
      store: accessOf(system.engineUrl, storeFolderOf(data)),
      ledger,
    });
    assert.equal(faultOf(verdict), undefined);
    t.diagnostic(`${verdict.events} events, ${ledger.refusals.length} requests refused meanwhile`);
    assert.equal(await system.stop(), 0);
  } finally {
    for (const sender of senders) sender.giveUp();
    system.child.kill('SIGKILL');
    await disk.remove();
  }
});

test('with the disk of the store full events wait on the log, and then come in exactly once', async (t) => {
  const disk = await smallDisk(t);
  if (disk === undefined) return;
  const data = await temporaryFolder('disk-full');
  const ledger = createLedger();
  const storeFolder = join(disk.folder, 'store');
  const system = await startSystem(data, {
    ...ENVIRONMENT,
    CLICKSTREAM_STORE: `engine:${storeFolder}`,
  });
  const senders = startSenders(system.url, ledger);
  const waiting = async (): Promise<number> => {
    const progress = await readProgress(system.url);
    return (progress?.ends[0] ?? 0) - (progress?.committed[0] ?? 0);
  };
  try {
    await ledger.nextAcknowledged();
    await until(async () => {
      await disk.fill();
      return (await waiting()) > WAITING;
    });
    const before = ledger.acknowledged.length;
    await ledger.nextAcknowledged();
    assert.ok(ledger.acknowledged.length > before, 'events are taken all the time');
    await disk.free();
    await until(async () => (await waiting()) < WAITING / 10);
    await Promise.all(senders.map((sender) => sender.stop()));
    const verdict = await judgeWhenReadable({
      url: system.url,
      store: accessOf(system.engineUrl, storeFolder),
      ledger,
    });
    assert.equal(faultOf(verdict), undefined);
    t.diagnostic(`${verdict.events} events`);
    assert.equal(await system.stop(), 0);
  } finally {
    for (const sender of senders) sender.giveUp();
    system.child.kill('SIGKILL');
    await disk.remove();
    await removeFolder(data);
  }
});

const skip = process.platform === 'linux' ? false : 'only on Linux writes can be made to fail';

test('a batch whose part could not be written is inserted again, and nothing is lost or doubled', {
  skip,
}, async () => {
  const data = await temporaryFolder('disk-full');
  const ledger = createLedger();
  const system = await startSystem(data, ENVIRONMENT);
  const senders = startSenders(system.url, ledger);
  const endOfLog = async (): Promise<number> => (await readProgress(system.url))?.ends[0] ?? 0;
  try {
    await ledger.nextAcknowledged();
    const [, engine] = await system.pids();
    letWrites(engine, 'fail');
    // Some batches' worth of events: no answer says how far the processor has come with them.
    const end = (await endOfLog()) + WAITING / 10;
    await until(async () => (await endOfLog()) > end);
    letWrites(engine, 'succeed');
    await Promise.all(senders.map((sender) => sender.stop()));
    const verdict = await judgeWhenReadable({
      url: system.url,
      store: accessOf(system.engineUrl, storeFolderOf(data)),
      ledger,
    });
    assert.equal(faultOf(verdict), undefined);
    assert.equal(await system.stop(), 0);
  } finally {
    for (const sender of senders) sender.giveUp();
    system.child.kill('SIGKILL');
    await removeFolder(data);
  }
});
