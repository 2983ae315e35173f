/**
 * Two collectors, two processors and a query server under load, while brokers, controllers and they
 * themselves are killed, join and leave: every acknowledged event is stored once.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyNoKafka } from '../../kafka/cluster.ts';
import type { KafkaNode } from '../../kafka/node.ts';
import type { Verdict } from '../crash/judge.ts';
import { createLoad, type Load, prove } from './load.ts';
import { type Member, PARTITIONS, type Stage, startStage, until } from './stage.ts';

const skip = (await whyNoKafka()) ?? false;
const TOPIC = 'kills';
/** The one of the log, and Kafka's own of what groups have committed. */
const TOPICS = [TOPIC, '__consumer_offsets'];
/** So soon that collectors give up on produce requests whose end nobody knows. */
const ACK_MS = '1000';
const AWAY_MS = 20_000;

describe('a cluster under load', { skip }, () => {
  let stage: Stage;
  let brokers: [KafkaNode, KafkaNode];
  let collectors: [Member, Member];
  let processors: [Member, Member];
  let third: Member;
  let query: Member;
  let load: Load;

  before(async () => {
    stage = await startStage('kills');
    const [first, second] = stage.kafka.nodes.filter(({ role }) => role === 'broker');
    assert.ok(first !== undefined && second !== undefined);
    brokers = [first, second];
    const environment = { ...stage.environment(TOPIC), CLICKSTREAM_KAFKA_ACK_MS: ACK_MS };
    const member = (name: string, role: string) =>
      stage.member(name, { ...environment, CLICKSTREAM_ROLES: role });
    collectors = [await member('collect-1', 'collect'), await member('collect-2', 'collect')];
    processors = [await member('process-1', 'process'), await member('process-2', 'process')];
    query = await member('query', 'query');
    third = await member('process-3', 'process');
    await Promise.all([...collectors, ...processors, query].map((one) => one.start()));
    load = createLoad('kills', collectors);
  });
  after(async () => {
    load?.giveUp();
    await stage?.close();
  });

  /** Each with the one that is left. */
  function eachBroker(): [KafkaNode, KafkaNode][] {
    const [first, second] = brokers;
    return [
      [first, second],
      [second, first],
    ];
  }

  const haveAll = (members: readonly Member[]): boolean =>
    members.flatMap((member) => member.partitions()).length === PARTITIONS &&
    members.every((member) => member.partitions().length > 0);

  /** The load goes on while it is away, and it comes back. */
  async function killed(one: Member | KafkaNode): Promise<void> {
    await load.goesOn();
    await one.kill();
    await load.goesOn();
    await one.start();
  }

  async function allOnce(t: TestContext, kills: number): Promise<Verdict> {
    const proven = await prove({ stage, topic: TOPIC, query, load });
    const { events, duplicates, beyond } = proven;
    t.diagnostic(
      `${kills} kills; so far ${events} events, ${duplicates} duplicates, ${beyond} records beyond what was sent`,
    );
    return proven;
  }

  test('each broker is killed, and the controller that leads: nothing is lost or doubled', async (t) => {
    load.begin();
    for (const [broker, other] of eachBroker()) {
      await killed(broker);
      await stage.untilInSync(TOPICS, 2, other);
    }
    await killed(await stage.kafka.activeController());
    await allOnce(t, brokers.length + 1);
  });

  test('a collector and each processor are killed: nothing is lost or doubled', async (t) => {
    load.begin();
    const [collector] = collectors;
    await killed(collector);
    const [a, b] = processors;
    for (const [dies, stays] of [
      [a, b],
      [b, a],
    ] as const) {
      await load.goesOn();
      await dies.kill();
      await until(() => haveAll([stays]));
      await load.goesOn();
      await dies.start();
      await until(() => haveAll(processors));
    }
    await allOnce(t, 3);
  });

  test('a processor that joins and leaves, and one that joins and is killed, move partitions only', async (t) => {
    load.begin();
    const all = [...processors, third];
    await third.start();
    await until(() => haveAll(all));
    await load.goesOn();
    assert.equal(await third.stop(), 0, third.output());
    await until(() => haveAll(processors));
    await load.goesOn();
    await third.start();
    await until(() => haveAll(all));
    await load.goesOn();
    await third.kill();
    await until(() => haveAll(processors));
    await allOnce(t, 1);
  });

  test('with both brokers away for long the spools take over, and all of it arrives once', async (t) => {
    load.begin();
    await load.goesOn();
    await Promise.all(brokers.map((broker) => broker.kill()));
    const before = load.ledger.acknowledged.length;
    // The time itself is what is tried: all that is acknowledged meanwhile is on the spools.
    await sleep(AWAY_MS);
    const meanwhile = load.ledger.acknowledged.length - before;
    assert.ok(meanwhile > 0);
    t.diagnostic(`${meanwhile} events were acknowledged while no broker ran`);
    await Promise.all(brokers.map((broker) => broker.start()));
    await load.goesOn();
    await allOnce(t, brokers.length);
  });

  test('a produce that a collector has given up on, and the brokers have not, is stored once', async (t) => {
    const spoolings = (): number =>
      collectors.flatMap((one) => [...one.output().matchAll(/spooling/g)]).length;
    const before = spoolings();
    load.begin();
    await load.goesOn();
    for (const broker of brokers) broker.freeze();
    await until(() => spoolings() > before);
    // It finds in its socket what was sent to it meanwhile.
    for (const broker of brokers) broker.thaw();
    await load.goesOn();
    const { beyond } = await allOnce(t, 0);
    assert.ok(beyond > 0, 'records came twice on the topic');
  });

  test('a broker that is frozen until the other leads, and then goes on, misleads nobody', async (t) => {
    load.begin();
    for (const [broker, other] of eachBroker()) {
      await load.goesOn();
      // After the brokers were frozen this one may be the only one that is in sync.
      await stage.untilInSync(TOPICS, 2, other);
      broker.freeze();
      await stage.untilInSync(TOPICS, 1, other);
      await load.goesOn(50);
      // For a moment it believes that it still leads, and ends where it was frozen.
      broker.thaw();
      await stage.untilInSync(TOPICS, 2, other);
    }
    for (const member of [...collectors, ...processors, query])
      assert.ok(member.isRunning, member.output());
    await allOnce(t, 0);
  });
});
