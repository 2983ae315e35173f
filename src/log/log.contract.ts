/**
 * What every log keeps, run against each implementation.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock } from '../base/clock.ts';
import type { AppError } from '../base/errors.ts';
import { type Log, type LogRecord, type NewRecord, NOTE_BYTES_MAX } from './log.ts';

export interface LogUnderTest {
  log: Log;
  /** Closes the log and opens it again; undefined where nothing survives the process. */
  reopen: (() => Promise<Log>) | undefined;
  remove: () => Promise<void>;
}

export interface LogTestOptions {
  partitions: number;
  clock?: Clock;
}

const ALL = { recordsMax: 1_000_000, bytesMax: 1_000_000_000, waitMs: 0 };

function record(text: string, key = text): NewRecord {
  return { key, bytes: Buffer.from(text), timeMs: 1_700_000_000_000 + text.length };
}

function texts(records: readonly LogRecord[]): string[] {
  return records.map(({ bytes }) => Buffer.from(bytes).toString());
}

function isCode(code: AppError['code']) {
  return (error: Error) => 'code' in error && error.code === code;
}

export function logContract(
  name: string,
  open: (options: LogTestOptions) => Promise<LogUnderTest>,
): void {
  const withLog = async (
    options: LogTestOptions,
    work: (log: Log, under: LogUnderTest) => Promise<void>,
  ) => {
    const under = await open(options);
    try {
      await work(under.log, under);
    } finally {
      await under.remove();
    }
  };

  describe(name, () => {
    test('gives back what was appended, in order, and the same when asked again', () =>
      withLog({ partitions: 1 }, async (log) => {
        const sent = ['a', '', 'ccc', 'ä\0€'].map((text) => record(text));
        assert.deepEqual(
          await log.append(sent),
          sent.map((_, offset) => ({ partition: 0, offset })),
        );
        const first = await log.read(0, 0, ALL);
        assert.deepEqual(texts(first), ['a', '', 'ccc', 'ä\0€']);
        assert.deepEqual(
          first.map(({ offset, timeMs }) => [offset, timeMs]),
          sent.map(({ timeMs }, offset) => [offset, timeMs]),
        );
        const copy = texts(first);
        assert.deepEqual(texts(await log.read(0, 0, ALL)), copy);
        assert.deepEqual(texts(await log.read(0, 2, ALL)), copy.slice(2));
      }));

    test('takes an append of nothing', () =>
      withLog({ partitions: 1 }, async (log) => {
        assert.deepEqual(await log.append([]), []);
        assert.deepEqual(await log.read(0, 0, ALL), []);
      }));

    test('chooses the partition by the CRC-32 of the key', () =>
      withLog({ partitions: 7 }, async (log) => {
        const keys = ['', '123456789', 'shop\0abc', 'ä€'];
        const crcs = [0, 0xcbf43926, 900_828_680, 0xd62dfa80];
        const positions = await log.append(keys.map((key) => record('x', key)));
        assert.deepEqual(
          positions.map(({ partition }) => partition),
          crcs.map((crc) => crc % 7),
        );
      }));

    test('gives concurrent appends offsets without gaps, each call in one piece', () =>
      withLog({ partitions: 3 }, async (log) => {
        const calls = Array.from({ length: 60 }, (_, call) =>
          Array.from({ length: 1 + (call % 9) }, (_, i) => record(`${call}.${i}`, `${call % 5}`)),
        );
        const answers = await Promise.all(
          calls.map(async (records) => ({ records, positions: await log.append(records) })),
        );
        const expected = Array.from({ length: 3 }, (): string[] => []);
        for (const { records, positions } of answers) {
          const [first] = positions;
          for (const [i, { partition, offset }] of positions.entries()) {
            assert.equal(offset, (first?.offset ?? 0) + i);
            const place = expected[partition];
            assert.ok(place !== undefined && place[offset] === undefined);
            place[offset] = String(Buffer.from(records[i]?.bytes ?? []));
          }
        }
        for (const [partition, want] of expected.entries()) {
          assert.deepEqual(texts(await log.read(partition, 0, ALL)), want);
        }
        assert.deepEqual(
          (await log.stats()).ends,
          expected.map(({ length }) => length),
        );
      }));

    test('reads no more than the limits allow, but at least one record', () =>
      withLog({ partitions: 1 }, async (log) => {
        await log.append(['aaaa', 'bbbb', 'cccc', 'dddd'].map((text) => record(text)));
        const read = async (from: number, recordsMax: number, bytesMax: number) =>
          texts(await log.read(0, from, { recordsMax, bytesMax, waitMs: 0 }));
        assert.deepEqual(await read(0, 2, 1_000), ['aaaa', 'bbbb']);
        assert.deepEqual(await read(1, 9, 8), ['bbbb', 'cccc']);
        assert.deepEqual(await read(1, 9, 11), ['bbbb', 'cccc']);
        assert.deepEqual(await read(3, 9, 1), ['dddd']);
        assert.deepEqual(await read(4, 9, 1_000), []);
      }));

    test('wakes every reader that waits when a record comes', () =>
      withLog({ partitions: 2 }, async (log) => {
        // crc32('a') is odd.
        const waiting = [1, 2].map(() => log.read(1, 0, { ...ALL, waitMs: 600_000 }));
        await log.append([record('a')]);
        for (const records of await Promise.all(waiting)) assert.deepEqual(texts(records), ['a']);
      }));

    test('ends a wait when the signal fires, or has fired', () =>
      withLog({ partitions: 1 }, async (log) => {
        const stop = new AbortController();
        const reading = log.read(0, 0, { ...ALL, waitMs: 600_000, signal: stop.signal });
        stop.abort();
        assert.deepEqual(await reading, []);
        assert.deepEqual(
          await log.read(0, 0, { ...ALL, waitMs: 600_000, signal: stop.signal }),
          [],
        );
      }));

    test('ends a wait when its time is over, by the clock it was given', async () => {
      let elapsedMs = 0;
      const slept: number[] = [];
      const clock: Clock = {
        now: () => 0,
        elapsed: () => elapsedMs,
        sleep: (ms, signal) => {
          // Only the read waits for so long; background work sleeps until it is stopped.
          if (ms !== 1_234) {
            return new Promise((wake) => signal?.addEventListener('abort', () => wake()));
          }
          slept.push(ms);
          elapsedMs += ms;
          return Promise.resolve();
        },
      };
      await withLog({ partitions: 1, clock }, async (log) => {
        assert.deepEqual(await log.read(0, 0, { ...ALL, waitMs: 1_234 }), []);
        assert.deepEqual(slept, [1_234]);
      });
    });

    test('gives back the last commit, and before the first one nothing', () =>
      withLog({ partitions: 2 }, async (log) => {
        assert.deepEqual(await log.committed(1), { offset: 0, note: '' });
        await log.append(['a', 'a', 'a'].map((text) => record(text)));
        await log.commit(1, 0, 'intent: ä€');
        assert.deepEqual(await log.committed(1), { offset: 0, note: 'intent: ä€' });
        await log.commit(1, 3);
        assert.deepEqual(await log.committed(1), { offset: 3, note: '' });
        assert.deepEqual(await log.committed(0), { offset: 0, note: '' });
        await log.commit(1, 3, 'x'.repeat(NOTE_BYTES_MAX));
        assert.deepEqual(await log.committed(1), { offset: 3, note: 'x'.repeat(NOTE_BYTES_MAX) });
      }));

    test('refuses a commit that goes back, lies past the end or has too long a note', () =>
      withLog({ partitions: 1 }, async (log) => {
        await log.append([record('a'), record('b')]);
        await log.commit(0, 1);
        await assert.rejects(log.commit(0, 0), /broken invariant/);
        await assert.rejects(log.commit(0, 3), /broken invariant/);
        await assert.rejects(log.commit(0, 2, 'x'.repeat(NOTE_BYTES_MAX + 1)), /broken invariant/);
        assert.deepEqual(await log.committed(0), { offset: 1, note: '' });
        await log.append([record('c')]);
      }));

    test('knows the end, what is committed and since when the first record waits', () =>
      withLog({ partitions: 1 }, async (log) => {
        const stats = async () => {
          const { ends, committed, oldestWaitingMs } = await log.stats();
          return [ends[0], committed[0], oldestWaitingMs[0]];
        };
        assert.deepEqual(await stats(), [0, 0, undefined]);
        await log.append([10, 20, 30].map((timeMs) => ({ ...record('a'), timeMs })));
        assert.deepEqual(await stats(), [3, 0, 10]);
        await log.commit(0, 2);
        assert.deepEqual(await stats(), [3, 2, 30]);
        await log.commit(0, 3);
        assert.deepEqual(await stats(), [3, 3, undefined]);
        await log.append([{ ...record('a'), timeMs: 40 }]);
        assert.deepEqual(await stats(), [4, 3, 40]);
        await log.append([{ ...record('a'), timeMs: 50 }]);
        assert.deepEqual(await stats(), [5, 3, 40]);
      }));

    test('finds where what came since a time begins, or its first record', () =>
      withLog({ partitions: 1 }, async (log) => {
        assert.equal(await log.offsetSince(0, 0), 0);
        const at = (timeMs: number) => ({ key: 'x', bytes: Buffer.from('x'), timeMs });
        await log.append([at(1_000), at(2_000), at(3_000)]);
        for (const sinceMs of [-Infinity, 0, 1_500, 2_000, 9_000]) {
          const offset = await log.offsetSince(0, sinceMs);
          const records = await log.read(0, 0, ALL);
          const skipped = records.filter((record) => record.offset < offset);
          assert.deepEqual(
            skipped.filter(({ timeMs }) => timeMs > sinceMs),
            [],
          );
        }
        assert.equal(await log.offsetSince(0, -Infinity), 0);
      }));

    test('refuses everything once it is closed, and ends the waits', () =>
      withLog({ partitions: 1 }, async (log) => {
        const appending = log.append([record('a')]);
        const reading = log.read(0, 1, { ...ALL, waitMs: 600_000 });
        await log.close();
        await log.close();
        assert.deepEqual(await appending, [{ partition: 0, offset: 0 }]);
        assert.deepEqual(await reading, []);
        await assert.rejects(log.append([record('a')]), isCode('stopping'));
        await assert.rejects(log.read(0, 0, ALL), isCode('stopping'));
        await assert.rejects(log.commit(0, 0), isCode('stopping'));
        await assert.rejects(log.committed(0), isCode('stopping'));
      }));

    test('is the same log, with its records and commits, when it is opened again', async (t) => {
      await withLog({ partitions: 3 }, async (log, { reopen }) => {
        if (reopen === undefined) return t.skip('nothing of it survives the process');
        const { id } = log;
        await log.append(['a', 'b', 'c', 'a'].map((text) => record(text)));
        const before = await Promise.all([0, 1, 2].map((partition) => log.read(partition, 0, ALL)));
        await log.commit(2, 1, 'note');
        const again = await reopen();
        assert.equal(again.id, id);
        assert.deepEqual(
          await Promise.all([0, 1, 2].map((partition) => again.read(partition, 0, ALL))),
          before,
        );
        assert.deepEqual(await again.committed(2), { offset: 1, note: 'note' });
        assert.deepEqual(await again.committed(1), { offset: 0, note: '' });
        const [place] = await again.append([record('a')]);
        assert.equal(place?.offset, before[place?.partition ?? 0]?.length);
        return undefined;
      });
    });
  });
}
