/** A log that somebody else fills, read onto ours: what arrives, how often, and when not. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { Clock } from '../base/clock.ts';
import { realClock } from '../base/clock.ts';
import { AppError, type Code } from '../base/errors.ts';
import { createLogger } from '../base/logger.ts';
import { createMetrics } from '../base/metrics.ts';
import { decodeRecord, type WireRecord } from '../event/wire.ts';
import type { Log, NewRecord } from '../log/log.ts';
import { createMemoryLog } from '../log/memory.ts';
import { createCollector } from './collect.ts';
import { BODY_LIMITS, SOURCE_LIMITS } from './limits.ts';
import { runSource } from './source.ts';
import { openSteps } from './steps.ts';

const NOW = Date.UTC(2026, 5, 1, 12);
const DAY_MS = 86_400_000;
const ALL = { recordsMax: 100_000, bytesMax: 1e9, waitMs: 0 };
const dataFolder = mkdtempSync(join(tmpdir(), 'clickstream-source-'));
after(() => rmSync(dataFolder, { recursive: true }));

/** Waits are over at once, and kept in `waits`. */
function clockAt(nowMs: number, waits: number[] = []): Clock {
  return {
    ...realClock,
    now: () => nowMs,
    async sleep(ms) {
      waits.push(ms);
    },
  };
}
const steps = openSteps({ clock: clockAt(NOW), dataFolder });

type Sent = string | Uint8Array | object;

function message(body: Sent, timeMs = NOW - 1_000): NewRecord {
  const isBytes = typeof body === 'string' || body instanceof Uint8Array;
  return { key: '', timeMs, bytes: Buffer.from(isBytes ? body : JSON.stringify(body)) };
}

async function sourceOf(...messages: NewRecord[]): Promise<Log> {
  const source = createMemoryLog({ partitions: 1 });
  for (const one of messages) await source.append([one]);
  return source;
}

interface Run {
  source: Log;
  log?: Log;
  nowMs?: number;
  waits?: number[];
}

/** Reads until everything that the source has is committed, or it ended by itself. */
async function run({ source, log = createMemoryLog({ partitions: 1 }), nowMs = NOW, waits }: Run) {
  const metrics = createMetrics();
  const ended = new AbortController();
  const work = runSource({
    ...{ log, projectId: 'shop', steps, logger: createLogger('silent'), metrics },
    ...{ source, clock: clockAt(nowMs, waits), signal: ended.signal },
  });
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  over.catch(() => undefined);
  const isBehind = async (): Promise<boolean> => {
    const { ends, committed } = await source.stats();
    return ends.some((end, partition) => (committed[partition] ?? 0) < end);
  };
  while (!isOver && (await isBehind())) await new Promise((resolve) => setImmediate(resolve));
  const text = await metrics.text();
  ended.abort();
  await over;
  return { log, metrics: text };
}

async function recordsOf(log: Log): Promise<WireRecord[]> {
  return (await log.read(0, 0, ALL)).map(({ bytes }) => decodeRecord(bytes));
}

/** Ids, or the reason of those that were refused. */
async function inShort(log: Log): Promise<string[]> {
  return (await recordsOf(log)).map((record) =>
    'event' in record ? record.event.event_id : record.rejected.reason,
  );
}

/** The process is killed in the middle of a call: nothing more of it happens. */
class Killed extends Error {}

function killedAt(source: Log, isKilled: (offset: number, note: string) => boolean): Log {
  return {
    ...source,
    async commit(partition, offset, note = '') {
      if (isKilled(offset, note)) throw new Killed();
      await source.commit(partition, offset, note);
    },
  };
}

test('a message becomes the record that a request of a program with it becomes', async () => {
  const event = { event_name: 'BOOKING', event_id: '1', url: 'https://a.b/c?utm_source=x', q: 1 };
  const source = await sourceOf(message(event, NOW));
  const bySource = await recordsOf((await run({ source })).log);
  const log = createMemoryLog({ partitions: 1 });
  const collect = createCollector({
    ...{ log, steps, clock: clockAt(NOW), metrics: createMetrics(), limits: BODY_LIMITS },
  });
  const sender = { projectId: 'shop', address: '', userAgent: '', fromPage: false };
  await collect(Buffer.from(JSON.stringify(event)), undefined, sender);
  assert.deepEqual(bySource, await recordsOf(log));
});

test('a message may hold a list, an envelope, lines, and be packed', async () => {
  const [a, b] = ['a', 'b'].map((event_id) => ({ event_name: 'x', event_id }));
  const source = await sourceOf(
    message([a, b]),
    message({ sent_at: NOW, events: [a] }),
    message(`${JSON.stringify(b)}\n${JSON.stringify(a)}\n{"event_name":\n`),
    message(gzipSync(JSON.stringify(b))),
    message([]),
    message({ event_name: 'x', event_id: 'last' }),
  );
  const { log, metrics } = await run({ source });
  assert.deepEqual(await inShort(log), ['a', 'b', 'a', 'b', 'a', 'not_json', 'b', 'last']);
  assert.match(metrics, /^clickstream_source_records_total 6$/m);
  assert.match(metrics, /^clickstream_source_events_total\{outcome="accepted"\} 7$/m);
  assert.match(metrics, /^clickstream_source_events_total\{outcome="rejected"\} 1$/m);
  assert.match(metrics, /^clickstream_source_lag\{partition="0"\} 0$/m);
});

test('a message may hold more events than a request, because nobody can send it in parts', async () => {
  const events = Array.from({ length: SOURCE_LIMITS.eventsMax }, (_, i) => ({
    ...{ event_name: 'x', event_id: `${i}` },
  }));
  assert.ok(events.length > BODY_LIMITS.eventsMax);
  const { log } = await run({ source: await sourceOf(message(events)) });
  assert.deepEqual(
    await inShort(log),
    events.map(({ event_id }) => event_id),
  );
});

test('times are those of the message, not of this process', async () => {
  const source = await sourceOf(message({ event_name: 'x' }, NOW - 40 * DAY_MS));
  const { log } = await run({ source });
  const [record] = await log.read(0, 0, ALL);
  const [wire] = await recordsOf(log);
  assert.ok(record && wire && 'event' in wire);
  assert.equal(record.timeMs, NOW - 40 * DAY_MS);
  assert.equal(wire.event.received_at, NOW - 40 * DAY_MS);
  assert.equal(wire.event.event_time, NOW - 40 * DAY_MS);
});

test('an event without an id is named after its place, and so is a refused one', async () => {
  const source = await sourceOf(
    message([{ event_name: 'x' }, { event_name: 'x', event_id: 'own' }, { name: 'x' }]),
    message('no json'),
  );
  const ids = (await recordsOf((await run({ source })).log)).map((record) =>
    'event' in record ? record.event.event_id : record.rejected.event_id,
  );
  const place = `${source.id}/0`;
  assert.deepEqual(ids, [`${place}/0/0`, 'own', `${place}/0/2`, `${place}/1/0`]);
});

test('killed between append and commit, three days later the same records come again', async () => {
  const source = await sourceOf(
    message({ event_name: 'x' }),
    message('poison'),
    message([{ event_name: 'y', event_id: '1' }, { event_name: 'z' }], NOW - DAY_MS),
  );
  const first = createMemoryLog({ partitions: 1 });
  await assert.rejects(run({ source: killedAt(source, () => true), log: first }), Killed);
  const again = createMemoryLog({ partitions: 1 });
  await run({ source, log: again, nowMs: NOW + 3 * DAY_MS });
  assert.equal((await first.read(0, 0, ALL)).length, 4);
  assert.deepEqual(await again.read(0, 0, ALL), await first.read(0, 0, ALL));
});

for (const [title, timeMs] of [
  ['without a time', -1],
  ['with seconds for milliseconds', NOW / 1000],
  ['with a time to come', NOW + 1_800_001],
] as const) {
  test(`a message ${title} keeps the time of its first reading, whenever it comes again`, async () => {
    const source = await sourceOf(
      message({ event_name: 'x' }, timeMs),
      message({ event_name: 'y' }, NOW - 5),
    );
    const first = createMemoryLog({ partitions: 1 });
    const killed = killedAt(source, (_, note) => note === '');
    await assert.rejects(run({ source: killed, log: first }), Killed);
    assert.deepEqual(
      (await first.read(0, 0, ALL)).map((record) => record.timeMs),
      [NOW, NOW - 5],
    );
    // By now more has come, and it is long ago.
    await source.append([message({ event_name: 'z' }, 0)]);
    const again = createMemoryLog({ partitions: 1 });
    await run({ source, log: again, nowMs: NOW + 3 * DAY_MS });
    const records = await again.read(0, 0, ALL);
    assert.deepEqual(records.slice(0, 2), await first.read(0, 0, ALL));
    assert.equal(records[2]?.timeMs, NOW + 3 * DAY_MS);
    assert.equal((await source.committed(0)).note, '');
  });
}

test('what is no event is refused with its reason, and what follows is taken', async () => {
  const nested = `{"event_name":"x","a":${'['.repeat(40_000)}${']'.repeat(40_000)}}`;
  const many = JSON.stringify(Array(SOURCE_LIMITS.eventsMax + 1).fill(1));
  const poison: [reason: string, body: Sent][] = [
    ['not_json', ''],
    ['not_json', 'hello'],
    ['not_json', Buffer.from([0x00, 0x00, 0x00, 0x00, 0x07, 0xff, 0xfe, 0x80])],
    ['not_json', Buffer.from([0x1f, 0x8b, 1, 2, 3])],
    ['not_an_object', '7'],
    ['missing', {}],
    ['too_large', 'x'.repeat(SOURCE_LIMITS.unpackedBytesMax + 1)],
    ['too_large', gzipSync('x'.repeat(SOURCE_LIMITS.unpackedBytesMax + 1))],
    ['too_large', { event_name: 'x', text: 'ä'.repeat(40_000) }],
    ['too_large', many],
    ['too_deep', nested],
    ['bad_format', { sent_at: 'soon', events: [{ event_name: 'x' }] }],
  ];
  for (const [reason, body] of poison) {
    const source = await sourceOf(
      message({ event_name: 'x', event_id: 'before' }),
      message(body),
      message({ event_name: 'x', event_id: 'behind' }),
    );
    const { log } = await run({ source });
    assert.deepEqual(await inShort(log), ['before', reason, 'behind'], String(body).slice(0, 50));
  }
});

test('what is kept of a refused message is its text, cut between two characters', async () => {
  const source = await sourceOf(
    message('nö'),
    message('€'.repeat(10_000)),
    message(`x${'😀'.repeat(3_000)}`),
  );
  const kept = (await recordsOf((await run({ source })).log)).map((record) =>
    'rejected' in record ? record.rejected.payload : '',
  );
  assert.deepEqual(kept, ['nö', '€'.repeat(1_365), `x${'😀'.repeat(1_023)}`]);
});

for (const code of ['log_full', 'log_unreachable', 'overloaded'] satisfies Code[]) {
  test(`while our log answers ${code}, the same messages wait with a growing pause`, async () => {
    const inner = createMemoryLog({ partitions: 1 });
    let left = 4;
    const asked: number[] = [];
    const log: Log = {
      ...inner,
      async append(records) {
        asked.push(records.length);
        if (left-- > 0) throw new AppError(code, 'Later.');
        return inner.append(records);
      },
    };
    const events = Array.from({ length: 30 }, (_, i) => ({ event_name: 'x', event_id: `${i}` }));
    const source = await sourceOf(...events.map((event) => message(event)));
    const waits: number[] = [];
    await run({ source, log, waits });
    assert.deepEqual(
      await inShort(inner),
      events.map(({ event_id }) => event_id),
    );
    assert.deepEqual(asked, Array(5).fill(30));
    assert.deepEqual(waits, [50, 100, 200, 400]);
  });
}

test('a source that does not answer is asked again, whatever it was asked', async () => {
  const inner = await sourceOf(message({ event_name: 'x', event_id: '1' }, 0));
  const failures = new Map<string, number>();
  /** Each call fails twice before it is done. */
  const shaky = <A extends unknown[], T>(name: string, call: (...of: A) => Promise<T>) => {
    return async (...of: A): Promise<T> => {
      const failed = failures.get(name) ?? 0;
      failures.set(name, failed + 1);
      if (failed % 3 < 2) throw new AppError('log_unreachable', 'Away.');
      return call(...of);
    };
  };
  const source: Log = {
    ...inner,
    read: shaky('read', inner.read),
    commit: shaky('commit', inner.commit),
    committed: shaky('committed', inner.committed),
  };
  const { log } = await run({ source });
  assert.deepEqual(await inShort(log), ['1']);
  assert.deepEqual(await inner.committed(0), { offset: 1, note: '' });
});

test('a partition that another one has taken ends quietly, and the others go on', async () => {
  const inner = createMemoryLog({ partitions: 4 });
  const events = Array.from({ length: 40 }, (_, i) => ({ event_name: 'x', event_id: `${i}` }));
  for (const event of events) await inner.append([{ ...message(event), key: event.event_id }]);
  const taken = new Set([1, 2]);
  const source: Log = {
    ...inner,
    async commit(partition, ...of) {
      if (taken.has(partition)) throw new AppError('taken_over', 'Gone.');
      await inner.commit(partition, ...of);
    },
    async stats() {
      const stats = await inner.stats();
      return { ...stats, ends: stats.ends.map((end, i) => (taken.has(i) ? 0 : end)) };
    },
  };
  const { log } = await run({ source });
  const counts = (await inner.stats()).ends;
  const { committed } = await inner.stats();
  assert.deepEqual(
    committed,
    counts.map((end, i) => (taken.has(i) ? 0 : end)),
  );
  const arrived = await inShort(log);
  const owned = (counts[0] ?? 0) + (counts[3] ?? 0);
  assert.ok(arrived.length >= owned);
});

/** Of each id the different records that are on the log; one of each is what the window needs. */
async function distinct(log: Log): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>();
  for (const { bytes, timeMs } of await log.read(0, 0, ALL)) {
    const wire = decodeRecord(bytes);
    const { event_id } = 'event' in wire ? wire.event : wire.rejected;
    const same = found.get(event_id) ?? new Set();
    found.set(event_id, same.add(`${timeMs} ${Buffer.from(bytes).toString()}`));
  }
  return found;
}

test('however often it is killed, and whenever it goes on, a message gives the same records', async () => {
  const body = fc.constantFrom<Sent>(
    { event_name: 'x' },
    [{ event_name: 'x' }, { name: 'x' }],
    'poison',
    '',
    [],
  );
  const ageMs = fc.constantFrom(0, 1_000, 40 * DAY_MS, NOW, NOW + 1, NOW - 1_700_000, -2 * DAY_MS);
  const life = fc.record({
    pauseMs: fc.constantFrom(0, 1_000, 3 * DAY_MS, -300_000),
    /** Of the calls of this life, which ones end it or leave open what happened. */
    killed: fc.nat(8),
    lost: fc.array(fc.nat(8), { maxLength: 3 }),
    batchMax: fc.integer({ min: 1, max: 5 }),
  });
  const world = fc.record({
    messages: fc.array(fc.tuple(body, ageMs), { minLength: 1, maxLength: 12 }),
    lives: fc.array(life, { maxLength: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(world, async ({ messages, lives }) => {
      const source = withGaps(
        await sourceOf(...messages.map(([text, ms]) => message(text, NOW - ms))),
      );
      const log = createMemoryLog({ partitions: 1 });
      let nowMs = NOW;
      for (const { pauseMs, killed, lost, batchMax } of lives) {
        nowMs += pauseMs;
        let calls = 0;
        /** Done or not, and then killed or without an answer. */
        const faulty = async <T>(call: () => Promise<T>): Promise<T> => {
          const number = calls++;
          if (number === killed && batchMax % 2 === 0) throw new Killed();
          const answer = await call();
          if (number === killed) throw new Killed();
          if (lost.includes(number)) throw new AppError('log_unreachable', 'No answer.');
          return answer;
        };
        const shaky: Log = {
          ...source,
          read: (partition, from, limits) =>
            source.read(partition, from, { ...limits, recordsMax: batchMax }),
          commit: (...of) => faulty(() => source.commit(...of)),
        };
        const append: Log['append'] = (records) => faulty(() => log.append(records));
        await run({ source: shaky, log: { ...log, append }, nowMs }).catch((error: unknown) => {
          if (!(error instanceof Killed)) throw error;
        });
      }
      await run({ source, log, nowMs: nowMs + 5 * DAY_MS });
      const found = await distinct(log);
      const sizes = messages.map(([text]) => (Array.isArray(text) ? text.length : 1));
      assert.equal(
        found.size,
        sizes.reduce((all, size) => all + size, 0),
      );
      for (const records of found.values()) assert.equal(records.size, 1, [...records].join('\n'));
    }),
    { numRuns: 300 },
  );
});

/** Offsets 5, 8, 11, …: as of a topic that is compacted, or written in transactions. */
function withGaps(inner: Log): Log {
  const outer = (offset: number): number => offset * 3 + 5;
  const innerFrom = (offset: number): number => Math.max(0, Math.ceil((offset - 5) / 3));
  let committed = { offset: 0, note: '' };
  return {
    ...inner,
    async read(partition, from, limits) {
      const records = await inner.read(partition, innerFrom(from), limits);
      return records.map((record) => ({ ...record, offset: outer(record.offset) }));
    },
    async commit(_, offset, note = '') {
      committed = { offset, note };
    },
    committed: async () => committed,
    async stats() {
      const stats = await inner.stats();
      const ends = stats.ends.map((end) => (end === 0 ? 0 : outer(end - 1) + 1));
      return { ...stats, ends, committed: [committed.offset] };
    },
  };
}

test('offsets with gaps are read once each, and one past the last one read is committed', async () => {
  const events = Array.from({ length: 2_500 }, (_, i) => ({ event_name: 'x', event_id: `${i}` }));
  const source = withGaps(await sourceOf(...events.map((event) => message(event))));
  const log = createMemoryLog({ partitions: 1 });
  await assert.rejects(run({ source: killedAt(source, (offset) => offset > 4_000), log }), Killed);
  const { offset } = await source.committed(0);
  assert.equal(offset, 999 * 3 + 5 + 1);
  await run({ source, log });
  assert.deepEqual((await source.stats()).committed, [2_499 * 3 + 5 + 1]);
  // The second batch twice: it was on the log before its commit.
  const ids = events.map(({ event_id }) => event_id);
  assert.deepEqual(await inShort(log), [...ids.slice(0, 2_000), ...ids.slice(1_000)]);
});

test('what the source has deleted before it was read is said, and it goes on behind it', async () => {
  const begin = async (committed: number) => {
    const inner = await sourceOf(...['a', 'b', 'c'].map((id) => message({ event_name: id })));
    await inner.commit(0, committed);
    const source: Log = {
      ...inner,
      async read(partition, from, limits) {
        if (from < 2) throw new AppError('log_gone', 'Deleted.');
        return inner.read(partition, from, limits);
      },
      offsetSince: async () => 2,
    };
    const { log, metrics } = await run({ source });
    assert.equal((await recordsOf(log)).length, 1);
    return metrics;
  };
  assert.match(await begin(1), /^clickstream_source_lost_total 1$/m);
  // Before the first reading there was nothing to lose.
  assert.match(await begin(0), /^clickstream_source_lost_total 0$/m);
});

test('batches and appends are bounded in records and bytes', async () => {
  const text = 'x'.repeat(20_000);
  const source = await sourceOf(
    ...Array.from({ length: 120 }, (_, i) => message({ event_name: 'x', event_id: `${i}`, text })),
    ...Array.from({ length: 1_500 }, (_, i) => message({ event_name: 'x', event_id: `s${i}` })),
  );
  const inner = createMemoryLog({ partitions: 1 });
  const appended: { records: number; bytes: number }[] = [];
  const log: Log = {
    ...inner,
    async append(records) {
      const bytes = records.reduce((sum, record) => sum + record.bytes.length, 0);
      appended.push({ records: records.length, bytes });
      return inner.append(records);
    },
  };
  await run({ source, log });
  assert.equal((await inShort(inner)).length, 1_620);
  for (const { records, bytes } of appended) {
    assert.ok(records <= 1_000 && bytes <= 600_000, `${records} records, ${bytes} bytes`);
  }
});

test('a fault that does not pass by is not hidden', async () => {
  const inner = await sourceOf(message({ event_name: 'x' }));
  for (const code of ['log_changed', 'log_corrupt', 'too_large'] satisfies Code[]) {
    const source: Log = {
      ...inner,
      read: () => Promise.reject(new AppError(code, 'It is broken.')),
    };
    await assert.rejects(run({ source }), { code });
  }
});

test('a stop ends while our log takes nothing', async () => {
  const source = await sourceOf(message({ event_name: 'x' }));
  const ended = new AbortController();
  const log: Pick<Log, 'append'> = {
    async append() {
      ended.abort();
      throw new AppError('log_full', 'Full.');
    },
  };
  await runSource({
    ...{ source, log, projectId: 'shop', steps, clock: clockAt(NOW), signal: ended.signal },
    ...{ logger: createLogger('silent'), metrics: createMetrics() },
  });
  assert.equal((await source.committed(0)).offset, 0);
});
