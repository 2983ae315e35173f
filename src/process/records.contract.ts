/**
 * What the processor relies on in the store, run against each implementation of `Records`: the real
 * one on an engine, and the one of the simulation.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { AppError } from '../base/errors.ts';
import type { Event } from '../event/event.ts';
import { recordKey } from '../event/wire.ts';
import { partitionOf } from '../log/partition-of.ts';
import { HOLDER_MIN, type Records } from './records.ts';
import { duplicateRow, type Place, rejectedRow, storedRow, unprocessable } from './row.ts';

export interface RecordsUnderTest {
  /** On a store that holds no rows yet. */
  records: Records;
  close(): Promise<void>;
}

const NOW_MS = Date.UTC(2026, 10, 24, 12);
const HOUR_MS = 3_600_000;

export function recordsContract(name: string, open: () => Promise<RecordsUnderTest>): void {
  let opened: RecordsUnderTest;
  let records: Records;
  before(async () => {
    opened = await open();
    records = opened.records;
  });
  after(() => opened.close());

  let made = 0;
  function event(more: Partial<Event> = {}): Event {
    made += 1;
    return {
      v: 1,
      project_id: 'contract',
      event_id: `e-${made}`,
      session_id: 's',
      visitor_id: 'v',
      event_time: NOW_MS,
      received_at: NOW_MS,
      event_name: 'CLICK',
      ...more,
    };
  }

  /** A partition of a log of its own, taken over. */
  async function newPlace(): Promise<Place> {
    const log_id = await records.registerLog(randomUUID());
    const owner = await records.takeOver(log_id, [0]);
    return { log_id, log_partition: 0, log_offset: 0, batch_id: 1, owner };
  }

  const at = ({ log_id, log_partition }: Place) => ({ logId: log_id, partition: log_partition });
  const stored = (place: Place, log_offset: number, more: Partial<Event> = {}): string =>
    JSON.stringify(storedRow({ event: event(more), propertiesText: '' }, { ...place, log_offset }));
  const held = async (place: Place): Promise<string[]> =>
    (await records.held(at(place), 0, 1_000))
      .map(({ log_offset, outcome }) => `${log_offset} ${outcome}`)
      .sort();
  const isCode = (code: AppError['code']) => (error: Error) =>
    'code' in error && error.code === code;

  test(`${name}: without rows there is no newest time, and nothing was erased`, async () => {
    assert.equal(await records.newestMs(), 0);
    assert.deepEqual(await records.erasedIds(0), []);
  });

  test(`${name}: a log keeps its number, and another has another one`, async () => {
    const [one, two] = [randomUUID(), randomUUID()];
    const number = await records.registerLog(one);
    assert.notEqual(await records.registerLog(two), number);
    assert.equal(await records.registerLog(one), number);
  });

  test(`${name}: tells which offsets of a range are there, with their outcomes`, async () => {
    const place = await newPlace();
    const other = await newPlace();
    const e = event();
    await records.insert(at(place), [
      stored(place, 3),
      JSON.stringify(duplicateRow(e, { ...place, log_offset: 4 })),
      JSON.stringify(
        rejectedRow(unprocessable(Buffer.from('?'), NOW_MS), { ...place, log_offset: 5 }),
      ),
    ]);
    await records.insert(at(other), [stored(other, 4)]);
    assert.deepEqual(await held(place), ['3 stored', '4 duplicate', '5 rejected']);
    assert.deepEqual(
      (await records.held(at(place), 4, 5)).map((row) => row.log_offset),
      [4],
    );
    assert.deepEqual(await records.last(at(place), 4), {
      ...{ log_offset: 5, event_id: '', batch_id: 1 },
    });
    assert.equal(await records.last(at(place), 6), undefined);
    assert.equal(await records.last({ ...at(place), partition: 1 }, 0), undefined);
  });

  test(`${name}: the same rows are inserted as often as they come`, async () => {
    const place = await newPlace();
    const rows = [stored(place, 0), stored(place, 1)];
    await records.insert(at(place), rows);
    await records.insert(at(place), rows);
    assert.deepEqual(await held(place), ['0 stored', '0 stored', '1 stored', '1 stored']);
  });

  test(`${name}: with a row that is refused, nothing of an insert is there`, async () => {
    const place = await newPlace();
    const poison = stored(place, 1, { item_price: 'not a number' });
    await assert.rejects(
      records.insert(at(place), [stored(place, 0), poison, stored(place, 2)]),
      isCode('store_refused'),
    );
    const nextMonth = stored(place, 1, { received_at: Date.UTC(2026, 11, 1) });
    await assert.rejects(
      records.insert(at(place), [stored(place, 0), nextMonth]),
      isCode('store_refused'),
    );
    assert.deepEqual(await held(place), []);
    await records.insert(at(place), [stored(place, 0, { item_price: '-1.5' })]);
    assert.deepEqual(await held(place), ['0 stored']);
  });

  test(`${name}: rows of an owner who was replaced are refused, and only those`, async () => {
    const place = await newPlace();
    const { log_id } = place;
    const next = { ...place, owner: await records.takeOver(log_id, [0]) };
    assert.notEqual(next.owner, place.owner);
    await assert.rejects(records.insert(at(place), [stored(place, 0)]), isCode('taken_over'));
    await assert.rejects(
      records.insert(at(next), [stored(next, 0), stored(place, 1)]),
      isCode('taken_over'),
    );
    assert.deepEqual(await held(place), []);
    await records.insert(at(next), [stored(next, 0)]);
    // Nobody has ever taken this one over.
    const free = { ...place, log_partition: 1, owner: 0 };
    await records.insert(at(free), [stored(free, 0)]);
    await assert.rejects(
      records.insert(at(free), [stored({ ...free, owner: 5 }, 1)]),
      isCode('taken_over'),
    );
    assert.deepEqual(await held(free), ['0 stored']);
  });

  test(`${name}: several partitions are taken over at once`, async () => {
    const place = await newPlace();
    const owner = await records.takeOver(place.log_id, [0, 1]);
    for (const log_partition of [0, 1]) {
      const next = { ...place, log_partition, owner };
      await records.insert(at(next), [stored(next, 0)]);
      assert.deepEqual(await held(next), ['0 stored']);
    }
  });

  test(`${name}: while a partition is held its owner is refused, and may see why`, async () => {
    const place = await newPlace();
    assert.equal(await records.ownerOf(at(place)), place.owner);
    assert.ok(place.owner < HOLDER_MIN);
    const holder = { ...place, owner: await records.hold(at(place)) };
    assert.equal(await records.ownerOf(at(place)), holder.owner);
    assert.ok(holder.owner >= HOLDER_MIN);
    await assert.rejects(records.insert(at(place), [stored(place, 0)]), isCode('taken_over'));
    await records.insert(at(holder), [stored(holder, 1)]);
    await records.release(at(place));
    assert.equal(await records.ownerOf(at(place)), 0);
    for (const gone of [place, holder])
      await assert.rejects(records.insert(at(gone), [stored(gone, 2)]), isCode('taken_over'));
    assert.deepEqual(await held(place), ['1 stored']);
  });

  test(`${name}: once it is settled, an insert that was not awaited is there or never will be`, async () => {
    const place = await newPlace();
    const rows = Array.from({ length: 50 }, (_, offset) => stored(place, offset));
    const inserting = records.insert(at(place), rows).catch(() => undefined);
    await records.settle(at(place));
    const settled = await held(place);
    assert.ok(settled.length === 0 || settled.length === rows.length, `${settled.length} rows`);
    await inserting;
    assert.deepEqual(await held(place), settled);
  });

  test(`${name}: the newest time is one of any row`, async () => {
    const place = await newPlace();
    const received_at = NOW_MS + 2 * HOUR_MS + 7;
    await records.insert(at(place), [JSON.stringify(duplicateRow(event({ received_at }), place))]);
    assert.equal(await records.newestMs(), received_at);
  });

  test(`${name}: stored events are counted by slices of time, the newest first`, async () => {
    const place = await newPlace();
    const times = [0, 999, 1_000, 5_000].map((ms) => NOW_MS - 100 * HOUR_MS + ms);
    const rows = times.map((received_at, offset) => stored(place, offset, { received_at }));
    const late = event({ received_at: times[2] ?? 0 });
    await records.insert(at(place), [
      ...rows,
      JSON.stringify(duplicateRow(late, { ...place, log_offset: 9 })),
    ]);
    const sinceMs = times[1] ?? 0;
    const slices = await records.countBySlice(sinceMs, 1_000);
    const slice = sinceMs / 1_000;
    assert.deepEqual(slices.slice(-3), [
      { slice: Math.floor(slice) + 5, ids: 1 },
      { slice: Math.floor(slice) + 1, ids: 1 },
      { slice: Math.floor(slice), ids: 1 },
    ]);
    assert.ok(slices.every((each, i) => i === 0 || each.slice < (slices[i - 1]?.slice ?? 0)));
  });

  test(`${name}: ids are given by time and by the partition of their key`, async () => {
    const place = await newPlace();
    const fromMs = NOW_MS - 200 * HOUR_MS;
    const times = [fromMs - 1, fromMs, fromMs + 1, fromMs + 2];
    const events = times.flatMap((received_at) =>
      Array.from({ length: 4 }, () => event({ received_at, project_id: 'ids' })),
    );
    const lines = events.map((e, log_offset) =>
      JSON.stringify(storedRow({ event: e, propertiesText: '' }, { ...place, log_offset })),
    );
    const late = event({ received_at: fromMs, project_id: 'ids' });
    await records.insert(at(place), [
      ...lines,
      JSON.stringify(duplicateRow(late, { ...place, log_offset: 99 })),
    ]);
    for (const partition of [0, 1]) {
      const rows = await records.storedIds(
        { fromMs, toMs: fromMs + 2 },
        { partition, partitions: 2 },
      );
      const expected = events
        .filter((e) => e.received_at === fromMs || e.received_at === fromMs + 1)
        .filter((e) => partitionOf(recordKey(e.project_id, e.event_id), 2) === partition)
        .map((e) => `ids ${e.event_id} ${e.received_at}`);
      assert.deepEqual(
        rows.map((row) => `${row.project_id} ${row.event_id} ${row.received_ms}`).sort(),
        expected.sort(),
      );
    }
  });

  test(`${name}: the stored copies of ids come in the order of time and place`, async () => {
    const [one, two] = [await newPlace(), await newPlace()];
    const [a, b] = ['ä\'\\"\n,', 'b'];
    const row = (place: Place, offset: number, event_id: string, ms: number, project = 'copies') =>
      stored(place, offset, { event_id, project_id: project, received_at: NOW_MS + ms });
    await records.insert(at(two), [row(two, 0, a, 5), row(two, 1, b, 2)]);
    await records.insert(at(one), [
      row(one, 2, a, 5),
      row(one, 1, a, 5),
      row(one, 3, a, 0),
      row(one, 4, b, 9, 'another'),
      row(one, 5, 'c', 9),
      JSON.stringify(
        duplicateRow(event({ event_id: a, project_id: 'copies', received_at: NOW_MS + 8 }), one),
      ),
    ]);
    const copies = await records.copies('copies', [a, b, 'unknown'], NOW_MS);
    const copy = (event_id: string, place: Place, log_offset: number, ms: number) => ({
      project_id: 'copies',
      event_id,
      log_id: place.log_id,
      log_partition: 0,
      log_offset,
      received_ms: NOW_MS + ms,
    });
    assert.deepEqual(copies, [
      copy(b, two, 1, 2),
      copy(a, one, 1, 5),
      copy(a, one, 2, 5),
      copy(a, two, 0, 5),
    ]);
  });
}
