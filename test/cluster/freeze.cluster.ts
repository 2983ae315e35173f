/**
 * A processor of a group that is frozen while its INSERT is on its way, for longer than the group
 * waits for it, and wakes up when another has its partitions: it adds nothing, and goes on as a
 * member.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { whyNoKafka } from '../../kafka/cluster.ts';
import { type FreezingProxy, type Moment, startFreezingProxy } from '../crash/freezing-proxy.ts';
import { post } from '../crash/sender.ts';
import { auditCloses } from './load.ts';
import { type Member, PARTITIONS, type Stage, startStage, until } from './stage.ts';

const skip = (await whyNoKafka()) ?? false;
const TOPIC = 'freeze';
/** Several batches in each partition, so that the frozen one has more to do when it wakes up. */
const EVENTS = 400;
const BATCH_ROWS = '20';

describe('a processor of a group that is frozen', { skip }, () => {
  let stage: Stage;
  let proxy: FreezingProxy;
  let collector: Member;
  let freezing: Member;
  let other: Member;

  before(async () => {
    stage = await startStage('freeze');
    proxy = await startFreezingProxy(stage.storeAccess.url);
    const environment = stage.environment(TOPIC);
    const processing = {
      ...environment,
      CLICKSTREAM_ROLES: 'process',
      CLICKSTREAM_BATCH_ROWS: BATCH_ROWS,
    };
    collector = await stage.member('collect', { ...environment, CLICKSTREAM_ROLES: 'collect' });
    const address = new URL(stage.storeAddress);
    address.port = String(proxy.port);
    freezing = await stage.member('freezing', { ...processing, CLICKSTREAM_STORE: `${address}` });
    other = await stage.member('other', processing);
    await Promise.all([collector, freezing, other].map((member) => member.start()));
  });
  after(async () => {
    await stage?.close();
    await proxy?.close();
  });

  const isShared = (): boolean =>
    [freezing, other].every((member) => member.partitions().length === PARTITIONS / 2);

  async function send(name: string): Promise<void> {
    const events = Array.from({ length: EVENTS }, (_, i) => ({
      event_name: 'FREEZE',
      event_id: `${name} ${i}`,
    }));
    assert.equal((await post(collector.url, 'shop', JSON.stringify(events)))?.status, 202);
  }

  interface Written {
    log_partition: number;
    owner: number;
    rows: number;
    places: number;
  }

  /** The rows of these events, by who wrote them. */
  const writtenOf = (name: string): Promise<Written[]> =>
    stage.store.select<Written>(
      `SELECT log_partition, owner, count() AS rows, uniqExact(log_offset) AS places
       FROM records WHERE event_id LIKE {ids:String} GROUP BY ALL ORDER BY ALL`,
      { ids: `${name} %` },
    );

  const sumOf = (written: readonly Written[], field: 'rows' | 'places'): number =>
    written.reduce((sum, row) => sum + row[field], 0);

  async function untilStored(name: string): Promise<Written[]> {
    let written: Written[] = [];
    await until(async () => {
      written = await writtenOf(name);
      return sumOf(written, 'places') >= EVENTS;
    });
    return written;
  }

  /** Frozen in an INSERT of these events, until the other one has stored all of them. */
  async function frozenAt(moment: Moment, name: string): Promise<Written[]> {
    await until(isShared);
    const frozen = proxy.freeze(freezing.pid, moment);
    await send(name);
    await frozen;
    await until(() => other.partitions().length === PARTITIONS);
    const written = await untilStored(name);
    assert.equal(sumOf(written, 'rows'), EVENTS);
    return written;
  }

  /** The numbers of those who own these partitions now. */
  async function ownersOf(partitions: readonly number[]): Promise<number[]> {
    const rows = await stage.store.select<{ owner: number }>(
      'SELECT owner FROM owners WHERE log_key % 65536 IN {partitions:Array(UInt16)}',
      { partitions: [...partitions] },
    );
    return rows.map(({ owner }) => owner);
  }

  const MOMENTS: Record<string, Moment> = {
    early: 'before it is sent',
    middle: 'in the middle of its body',
    late: 'before its answer arrives',
  };
  for (const [name, moment] of Object.entries(MOMENTS)) {
    test(`frozen in an INSERT, ${moment}, it adds nothing when it wakes up, and goes on as a member`, async () => {
      const before = await frozenAt(moment, name);
      proxy.thaw();
      await until(isShared);
      await send(`${name}-again`);
      const again = await untilStored(`${name}-again`);
      assert.deepEqual(await writtenOf(name), before);
      assert.equal(sumOf(again, 'rows'), EVENTS);
      const writers = await ownersOf(freezing.partitions());
      assert.ok(again.some(({ owner }) => writers.includes(owner)));
      await auditCloses(stage, TOPIC);
    });
  }

  test('without the fence the same freeze doubles rows: the tests above would see it', async () => {
    await stage.store.command('ALTER TABLE records DROP CONSTRAINT fence');
    await frozenAt('before it is sent', 'unfenced');
    proxy.thaw();
    await until(async () => sumOf(await writtenOf('unfenced'), 'rows') > EVENTS);
  });
});
