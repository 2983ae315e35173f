/**
 * What a crash or a bad disk can leave in the folder, and what opening it makes of that: an
 * interrupted write goes, everything confirmed stays, damage is named and nothing is changed.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { GROUP_MAGIC, SEGMENT_HEADER_BYTES } from './format.ts';
import type { Log } from './log.ts';
import { createTestFolder, type TestFolder } from './test-folder.ts';

const ALL = { recordsMax: 1_000_000, bytesMax: 1_000_000_000, waitMs: 0 };
const FIRST = '0-0000000001.segment';
const SECOND = '0-0000000002.segment';

let folder: TestFolder;
beforeEach(async () => {
  folder = await createTestFolder({ segmentBytes: 8 * 1024 });
});
afterEach(() => folder.remove());

type Files = Map<string, Buffer>;

/** What is on disk now, as a kill at this moment would leave it. */
function readFiles(): Files {
  const names = readdirSync(folder.path).filter((name) => name !== 'lock');
  return new Map(names.map((name) => [name, readFileSync(join(folder.path, name))]));
}

function writeFiles(files: Files): void {
  for (const name of readdirSync(folder.path)) rmSync(join(folder.path, name));
  for (const [name, bytes] of files) writeFileSync(join(folder.path, name), bytes);
}

function changed(files: Files, name: string, change: (bytes: Buffer) => Buffer | undefined): Files {
  const bytes = Buffer.from(files.get(name) ?? assert.fail(`${name} is there`));
  return new Map(files).set(name, change(bytes) ?? bytes);
}

function flipped(files: Files, name: string, position: number): Files {
  return changed(files, name, (bytes) => {
    bytes.writeUInt8(bytes.readUInt8(position) ^ 0x10, position);
    return undefined;
  });
}

function groupPositions(bytes: Buffer): number[] {
  const found: number[] = [];
  for (let i = bytes.indexOf(GROUP_MAGIC); i !== -1; i = bytes.indexOf(GROUP_MAGIC, i + 1)) {
    found.push(i);
  }
  return found;
}

function append(log: Log, ...texts: string[]) {
  return log.append(texts.map((text) => ({ key: text, bytes: Buffer.from(text), timeMs: 7 })));
}

async function readTexts(log: Log): Promise<string[]> {
  return (await log.read(0, 0, ALL)).map(({ bytes }) => Buffer.from(bytes).toString());
}

async function openedTexts(files: Files): Promise<string[]> {
  writeFiles(files);
  const log = await folder.open();
  const texts = await readTexts(log);
  await log.close();
  return texts;
}

async function assertCorrupt(files: Files, says: RegExp): Promise<void> {
  writeFiles(files);
  await assert.rejects(folder.open(), { code: 'log_corrupt', message: says });
  for (const [name, bytes] of files) {
    assert.ok(bytes.equals(readFileSync(join(folder.path, name))), `${name} is as it was`);
  }
}

/** Three groups; the last one of three records. Where it begins and ends. */
async function writeThreeGroups() {
  const log = await folder.open();
  await append(log, 'one');
  await append(log, 'two', 'three');
  await append(log, 'four', '', 'six');
  const files = readFiles();
  await log.close();
  const bytes = files.get(FIRST) ?? assert.fail();
  const begin = groupPositions(bytes)[2] ?? assert.fail();
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  return { files, begin, end };
}

test('a write that was torn at any byte leaves exactly the groups before it', async () => {
  const { files, begin, end } = await writeThreeGroups();
  for (let cut = begin; cut <= end; cut += 1) {
    const torn = changed(files, FIRST, (bytes) => bytes.fill(0, cut));
    const expected = ['one', 'two', 'three', ...(cut === end ? ['four', '', 'six'] : [])];
    assert.deepEqual(await openedTexts(torn), expected, `cut at ${cut}`);
    const short = changed(files, FIRST, (bytes) => bytes.subarray(0, cut));
    assert.deepEqual(await openedTexts(short), expected, `file ends at ${cut}`);
  }
});

test('a torn write whose end reached the disk and whose begin did not is dropped', async () => {
  const { files, begin, end } = await writeThreeGroups();
  for (let cut = begin + 1; cut < end; cut += 1) {
    const torn = changed(files, FIRST, (bytes) => bytes.fill(0, begin, cut));
    assert.deepEqual(await openedTexts(torn), ['one', 'two', 'three'], `holes up to ${cut}`);
  }
});

test('nothing of a torn write ever comes back', async () => {
  const { files, begin } = await writeThreeGroups();
  writeFiles(changed(files, FIRST, (bytes) => bytes.fill(0, begin, begin + 4)));
  const log = await folder.open();
  const rest = readFiles().get(FIRST)?.subarray(begin);
  assert.ok(rest?.every((byte) => byte === 0));
  assert.deepEqual(await append(log, 'x'), [{ partition: 0, offset: 3 }]);
  const again = readFiles();
  await log.close();
  assert.deepEqual(await openedTexts(again), ['one', 'two', 'three', 'x']);
});

test('the first write of a segment may be torn anywhere, its header included', async () => {
  const log = await folder.open();
  const large = 'x'.repeat(5_000);
  await append(log, large);
  await append(log, 'y'.repeat(5_000));
  const files = readFiles();
  await log.close();
  const end = (files.get(SECOND) ?? assert.fail()).findLastIndex((byte) => byte !== 0) + 1;
  const cuts = [...Array(120).keys(), 2_000, end - 1];
  for (const cut of cuts) {
    const torn = changed(files, SECOND, (bytes) => bytes.fill(0, cut));
    assert.deepEqual(await openedTexts(torn), [large], `cut at ${cut}`);
    const holes = changed(files, SECOND, (bytes) => bytes.fill(0, 0, cut + 1));
    assert.deepEqual(await openedTexts(holes), [large], `holes up to ${cut}`);
  }
});

test('any sectors of a torn write may be missing', async (t) => {
  const seed = randomInt(2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const log = await folder.open({ segmentBytes: 64 * 1024 });
  await append(log, 'kept');
  await append(log, ...Array.from({ length: 12 }, (_, i) => String(i).repeat(700)));
  const files = readFiles();
  await log.close();
  const bytes = files.get(FIRST) ?? assert.fail();
  const begin = groupPositions(bytes)[1] ?? assert.fail();
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  const sectors = Math.ceil(end / 512);
  const missing = fc.uniqueArray(fc.integer({ min: 0, max: sectors - 1 }), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(missing, async (numbers) => {
      const torn = changed(files, FIRST, (copy) => {
        for (const number of numbers) {
          const from = Math.max(begin, number * 512);
          copy.fill(0, from, Math.max(from, Math.min(end, (number + 1) * 512)));
        }
        return undefined;
      });
      assert.deepEqual(await openedTexts(torn), ['kept']);
    }),
    { numRuns: 40, seed, verbose: 1 },
  );
});

test('a changed bit before the last write is damage, wherever it is, and nothing is touched', async () => {
  const { files, begin } = await writeThreeGroups();
  for (let position = SEGMENT_HEADER_BYTES; position < begin; position += 1) {
    await assertCorrupt(flipped(files, FIRST, position), /0000000001\.segment is damaged at byte/);
  }
});

test('a changed bit in the header of a segment that is in use is damage', async () => {
  const { files } = await writeThreeGroups();
  for (let position = 0; position < SEGMENT_HEADER_BYTES; position += 1) {
    await assertCorrupt(flipped(files, FIRST, position), /0000000001\.segment/);
  }
});

test('a changed bit in the header of a committed segment does not cost the one after it', async () => {
  const log = await folder.open();
  await append(log, 'x'.repeat(5_000));
  await append(log, 'y'.repeat(5_000));
  await log.commit(0, 1);
  await log.close();
  const files = readFiles();
  for (let position = 0; position < SEGMENT_HEADER_BYTES; position += 1) {
    await assertCorrupt(
      flipped(files, FIRST, position),
      /0000000001\.segment is damaged at byte 0: it has no header, and a segment/,
    );
  }
});

test('after a commit or a close, damage to the last write is known as well', async () => {
  const { files, begin, end } = await writeThreeGroups();
  assert.equal((await openedTexts(files)).length, 6);
  const closed = readFiles();
  for (let position = begin; position < end; position += 1) {
    await assertCorrupt(flipped(closed, FIRST, position), /damaged at byte \d+: record 3 /);
  }
  await assertCorrupt(
    changed(closed, FIRST, (bytes) => bytes.fill(0, begin)),
    /record 3 /,
  );
  writeFiles(files);
  const log = await folder.open();
  await log.commit(0, 1);
  const committed = readFiles();
  await log.close();
  await assertCorrupt(flipped(committed, FIRST, end - 1), /record 3 /);
});

test('damage in a full segment is met when it is read, and never skipped', async () => {
  const log = await folder.open();
  for (const letter of 'abcdef') await append(log, letter.repeat(3_000));
  await log.close();
  const files = readFiles();
  const position = (groupPositions(files.get(FIRST) ?? assert.fail())[1] ?? assert.fail()) + 100;
  writeFiles(flipped(files, FIRST, position));
  const damaged = await folder.open();
  const says = {
    code: 'log_corrupt',
    message: /0000000001\.segment is damaged at byte \d+: record 1 /,
  };
  await assert.rejects(damaged.read(0, 0, ALL), says);
  await assert.rejects(damaged.read(0, 1, ALL), says);
  assert.equal((await damaged.read(0, 2, ALL)).length, 4);
  await damaged.close();
});

test('a file that is missing is damage', async () => {
  const log = await folder.open();
  for (const letter of 'abcdef') await append(log, letter.repeat(3_000));
  await log.close();
  const files = readFiles();
  const without = (...names: string[]) =>
    new Map([...files].filter(([name]) => !names.includes(name)));
  const segments = [...files.keys()].filter((name) => name.endsWith('.segment')).sort();
  await assertCorrupt(without(SECOND), /missing between 1 and/);
  await assertCorrupt(without(FIRST), /record 0 /);
  await assertCorrupt(without(...segments), /record 0 /);
  await assertCorrupt(without(...segments.slice(2)), /record 4 /);
  await assertCorrupt(without('0.commit'), /0\.commit is missing/);
  await assertCorrupt(
    changed(files, '0.commit', (bytes) => bytes.subarray(0, 9_000)),
    /0\.commit is damaged: it is too short/,
  );
  await assertCorrupt(without('log.json'), /log\.json is missing/);
});

test('log.json must be readable, known and of as many partitions', async () => {
  const log = await folder.open();
  await log.close();
  const files = readFiles();
  const identity = JSON.parse(String(files.get('log.json'))) as { id: string };
  assert.equal(identity.id, log.id);
  const withIdentity = (text: string) => changed(files, 'log.json', () => Buffer.from(text));
  await assertCorrupt(withIdentity(''), /log\.json is damaged/);
  await assertCorrupt(withIdentity('{"id":1}'), /log\.json is damaged/);
  writeFiles(withIdentity(JSON.stringify({ ...identity, version: 2 })));
  await assert.rejects(folder.open(), { code: 'data_newer' });
  writeFiles(files);
  await assert.rejects(folder.open({ partitions: 3 }), {
    code: 'bad_setting',
    message: /has 1 partitions, not 3: set \?partitions=1, or name another folder/,
  });
  await folder.open({ partitions: 1 });
});

test('a segment of another log is refused', async () => {
  const log = await folder.open();
  await append(log, 'a');
  await log.close();
  const segment = readFiles().get(FIRST) ?? assert.fail();
  writeFiles(new Map());
  await append(await folder.open(), 'b');
  const other = readFiles();
  await folder.close();
  await assertCorrupt(
    changed(other, FIRST, () => segment),
    /belongs to another log/,
  );
});

test('a torn commit leaves the one before; two damaged ones are an error', async () => {
  const log = await folder.open();
  await append(log, 'a', 'b', 'c');
  await log.commit(0, 1, 'first');
  const before = readFiles().get('0.commit') ?? assert.fail();
  await log.commit(0, 2, 'second');
  const files = readFiles();
  await log.close();
  const after = files.get('0.commit') ?? assert.fail();
  const begin = after.findIndex((byte, i) => byte !== before[i]);
  const end = after.findLastIndex((byte, i) => byte !== before[i]) + 1;
  for (let cut = begin; cut <= end; cut += 1) {
    const torn = Buffer.concat([after.subarray(0, cut), before.subarray(cut)]);
    writeFiles(changed(files, '0.commit', () => torn));
    const again = await folder.open();
    const expected = cut === end ? { offset: 2, note: 'second' } : { offset: 1, note: 'first' };
    assert.deepEqual(await again.committed(0), expected, `cut at ${cut}`);
    await again.commit(0, 3, 'third');
    assert.deepEqual(await again.committed(0), { offset: 3, note: 'third' });
    await again.close();
  }
  const both = changed(flipped(files, '0.commit', 20), '0.commit', (bytes) => {
    bytes.writeUInt8(bytes.readUInt8(8192 + 20) ^ 1, 8192 + 20);
    return undefined;
  });
  await assertCorrupt(both, /neither slot can be read/);
});
