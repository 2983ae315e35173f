/**
 * Real processes: one opener per folder, and kill -9 under load loses nothing that was confirmed.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { createTestFolder } from './test-folder.ts';

/** Opens the folder in its first argument, and appends from many writers until it is ended. */
const APPENDER = `
import { realClock } from '${import.meta.resolve('../base/clock.ts')}';
import { createLogger } from '${import.meta.resolve('../base/logger.ts')}';
import { realDisk } from '${import.meta.resolve('./disk.ts')}';
import { openFileLog } from '${import.meta.resolve('./file.ts')}';

const log = await openFileLog({
  folder: process.argv[1], partitions: 2, segmentBytes: 64 * 1024, keepMs: 1e9, keepBytes: 1e9,
  keepAlwaysMs: 1e9, bytesInFlightMax: 1024 * 1024, disk: realDisk, clock: realClock,
  logger: createLogger('silent'), onFatal: (error) => { throw error; },
});
process.stdout.write('open\\n');
const bytes = (text) => Buffer.from(text.repeat(20));
for (let writer = 0; writer < 16; writer += 1) {
  (async () => {
    for (let i = 0; ; i += 1) {
      const texts = Array.from({ length: 1 + (i % 3) }, (_, j) => \`\${process.pid}.\${writer}.\${i}.\${j} \`);
      const records = texts.map((text) => ({ key: String(writer), bytes: bytes(text), timeMs: i }));
      const positions = await log.append(records);
      const acked = positions.map((at, j) => \`\${at.partition} \${at.offset} \${texts[j]}\\n\`);
      process.stdout.write(acked.join(''));
    }
  })();
}
(async () => {
  for (;;) {
    const { ends: [end] } = await log.stats();
    await log.commit(0, end, String(end));
    process.stdout.write(\`commit \${end}\\n\`);
  }
})();
`;

function startAppender(path: string): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '--eval', APPENDER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function* linesOf(child: ChildProcess): AsyncGenerator<string> {
  assert.ok(child.stdout !== null);
  yield* createInterface({ input: child.stdout });
}

test('kill -9 under load loses no confirmed record and no commit', async (t) => {
  const folder = await createTestFolder({ partitions: 2, segmentBytes: 64 * 1024 });
  const acked = [new Map<number, string>(), new Map<number, string>()];
  const kills: number[] = [];
  t.after(folder.remove);
  for (let round = 0; round < 5; round += 1) {
    const killAfter = randomInt(1, 3_000);
    kills.push(killAfter);
    const child = startAppender(folder.path);
    const ended = once(child, 'exit');
    let committed = 0;
    let lines = 0;
    for await (const line of linesOf(child)) {
      lines += 1;
      if (lines === killAfter) child.kill('SIGKILL');
      const [place = '', offset = '', text = '', rest] = line.split(' ');
      if (place === 'commit') committed = Number(offset);
      // The last line may be cut off.
      else if (rest === '') acked[Number(place)]?.set(Number(offset), text);
    }
    await ended;
    assert.equal(child.signalCode, 'SIGKILL');
    const log = await folder.open();
    assert.ok((await log.committed(0)).offset >= committed);
    for (const [partition, expected] of acked.entries()) {
      const end = (await log.stats()).ends[partition] ?? 0;
      let next = 0;
      while (next < end) {
        const limits = { recordsMax: 10_000, bytesMax: 1_000_000, waitMs: 0 };
        for (const { offset, bytes } of await log.read(partition, next, limits)) {
          const [text, ...repeats] = Buffer.from(bytes).toString().trim().split(' ');
          assert.equal(offset, next);
          assert.ok(repeats.length === 19 && repeats.every((repeat) => repeat === text));
          assert.equal(expected.get(offset) ?? text, text);
          next += 1;
        }
      }
      assert.ok(Math.max(-1, ...expected.keys()) < end);
    }
    await log.close();
  }
  const records = acked.reduce((sum, { size }) => sum + size, 0);
  t.diagnostic(`killed after ${kills.join(', ')} lines; ${records} records confirmed`);
});

test('one process at a time opens a folder; the other is told which one has it', async (t) => {
  const folder = await createTestFolder({ partitions: 2, segmentBytes: 64 * 1024 });
  t.after(folder.remove);
  const child = startAppender(folder.path);
  const ended = once(child, 'exit');
  const lines = linesOf(child);
  assert.equal((await lines.next()).value, 'open');
  await assert.rejects(folder.open(), (error: Error) => {
    assert.ok('code' in error && error.code === 'log_locked');
    assert.ok(error.message.includes(folder.path) && error.message.includes(`pid ${child.pid}`));
    return true;
  });
  child.kill('SIGKILL');
  await ended;
  await folder.open();
  await assert.rejects(folder.open(), { code: 'log_locked' });
});
