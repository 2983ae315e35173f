/**
 * The consumer group: which partitions are this process's, and what is committed of each.
 *
 * A commit carries the group's generation and the member's id as they were when the partition was
 * given, so a process that has lost it commits nothing. Beside the offset stands the id of the topic,
 * so that a commit of a topic of the same name that was deleted is not taken for one of this.
 */
import {
  type ConnectionPool,
  Consumer,
  type GroupPartitionsAssigner,
  offsetCommitV8,
} from '@platformatic/kafka';
import { check } from '../../base/check.ts';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { Committed } from '../log.ts';
import type { KafkaAddress } from './address.ts';
import { assign, claimOf } from './assign.ts';
import { askInTurn, clientOptions, closeInTime, unreachable, untilAnswered } from './connect.ts';
import { saidBy } from './refusal.ts';
import type { WatchedTopic } from './topic.ts';

const COMMIT_MS_MAX = 15_000;
const JOIN_AGAIN_MS = 500;
const RETRY_MS = 50;
const BEATS_PER_SESSION = 5;
/** The generation of a commit by nobody, which a group that has members refuses. */
const NOBODY = { memberId: '', generation: -1 };

export interface GroupOptions {
  address: KafkaAddress;
  topic: WatchedTopic;
  clock: Clock;
  logger: Logger;
  pool: ConnectionPool;
  /** After so long without a sign of life a member's partitions are given to others. */
  sessionMs: number;
}

interface Membership {
  memberId: string;
  generation: number;
  /** Those that are this process's, each with what ends the work on it. */
  partitions: Map<number, AbortController>;
}

export interface Group {
  own(
    signal: AbortSignal,
    work: (partition: number, owned: AbortSignal) => Promise<void>,
  ): Promise<void>;
  owned(): number[];
  commit(partition: number, offset: number, note: string): Promise<void>;
  /** By partition; undefined where nothing was committed. */
  committed(): Promise<(Committed | undefined)[]>;
}

export function createGroup(options: GroupOptions): Group {
  const { address, topic, clock, logger, pool, sessionMs } = options;
  const { group: groupId } = address;
  let membership: Membership | undefined;
  /** Whether this process takes part in the group. */
  let isMember = false;
  let coordinator: { host: string; port: number } | undefined;

  async function findCoordinator() {
    const [found] = await topic.admin.findCoordinator({ keyType: 0, keys: [groupId] });
    check(found !== undefined, 'a group has a coordinator');
    coordinator = { host: found.host, port: found.port };
    return coordinator;
  }

  function takenOver(partition: number): AppError {
    return new AppError(
      'taken_over',
      `Partition ${partition} of ${address.topic} is another member's of the group ${groupId}.`,
    );
  }

  function lose(lost: Membership): void {
    if (membership !== lost) return;
    for (const owned of lost.partitions.values()) owned.abort();
    membership = undefined;
  }

  /** @throws AppError `taken_over`, `log_unreachable`. */
  async function commit(partition: number, offset: number, note: string): Promise<void> {
    const offsets = {
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: `${topic.now().id} ${note}`,
    };
    const topics = [{ name: address.topic, partitions: [offsets] }];
    const untilMs = clock.elapsed() + COMMIT_MS_MAX;
    // The work that asks is of this ownership: one that comes later is none of its.
    const owned = membership?.partitions.get(partition);
    for (;;) {
      const member = isMember ? membership : undefined;
      const isStill = owned !== undefined && member?.partitions.get(partition) === owned;
      if (isMember && (!isStill || owned.signal.aborted)) throw takenOver(partition);
      const { memberId, generation } = member ?? NOBODY;
      try {
        const connection = await pool.get(coordinator ?? (await findCoordinator()));
        await offsetCommitV8.api.async(
          ...([connection, groupId, generation, memberId, null, topics] as const),
        );
        return;
      } catch (error) {
        if (saidBy(error, 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID')) {
          if (member !== undefined) lose(member);
          throw takenOver(partition);
        }
        // A new generation is being made: it says whose the partition is.
        const isMoving = saidBy(error, 'REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION');
        if (!isMoving) coordinator = undefined;
        if (clock.elapsed() >= untilMs) {
          if (isMoving) throw takenOver(partition);
          throw unreachable(address.topic, error);
        }
      }
      await clock.sleep(RETRY_MS);
    }
  }

  async function committed(): Promise<(Committed | undefined)[]> {
    const { id, partitions } = topic.now();
    const partitionIndexes = Array.from({ length: partitions }, (_, partition) => partition);
    const groups = [{ groupId, topics: [{ name: address.topic, partitionIndexes }] }];
    const retries = { clock, topic: address.topic, msMax: COMMIT_MS_MAX, isOpen: true };
    const [answer] = await untilAnswered(retries, () =>
      topic.admin.listConsumerGroupOffsets({ groups, requireStable: true }),
    );
    const found = new Array<Committed | undefined>(partitions).fill(undefined);
    for (const { partitionIndex, committedOffset, metadata } of answer?.topics[0]?.partitions ??
      []) {
      if (committedOffset < 0n) continue;
      const [of = '', ...note] = (metadata ?? '').split(' ');
      // Without our words somebody has set it, with the tools of Kafka.
      const isOther = of !== '' && of !== id;
      if (!isOther)
        found[partitionIndex] = { offset: Number(committedOffset), note: note.join(' ') };
    }
    return found;
  }

  async function own(
    signal: AbortSignal,
    work: (partition: number, owned: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    /** All work that has not ended, by partition. */
    const running = new Map<number, Promise<void>>();
    const consumer = new Consumer({
      ...clientOptions(address),
      groupId,
      autocommit: false,
      sessionTimeout: sessionMs,
      rebalanceTimeout: sessionMs,
      heartbeatInterval: Math.ceil(sessionMs / BEATS_PER_SESSION),
      protocolsMetadata: () => claimOf([...(membership?.partitions.keys() ?? [])]),
      partitionAssigner: assign as GroupPartitionsAssigner,
    });
    askInTurn(consumer);
    consumer.topics.track(address.topic);

    function begin(partition: number): AbortController {
      const owned = new AbortController();
      const before = running.get(partition);
      const done = (async () => {
        await before;
        if (!owned.signal.aborted) await work(partition, owned.signal);
      })();
      const ended = done.catch(failed.reject).finally(() => {
        if (running.get(partition) === ended) running.delete(partition);
      });
      running.set(partition, ended);
      return owned;
    }

    function onJoin(memberId: string, generation: number, given: readonly number[]): void {
      const before = membership;
      // Who was away for a generation does not know whose its partitions were meanwhile.
      const isNext = before?.memberId === memberId && before.generation + 1 === generation;
      const kept = new Map<number, AbortController>();
      for (const [partition, owned] of before?.partitions ?? []) {
        if (isNext && given.includes(partition)) kept.set(partition, owned);
        else owned.abort();
      }
      const taken = given.filter((partition) => !kept.has(partition));
      membership = { memberId, generation, partitions: kept };
      for (const partition of taken) kept.set(partition, begin(partition));
      logger.info(
        { group: groupId, generation, partitions: [...given] },
        'partitions of this process',
      );
    }

    consumer.on('consumer:group:join', ({ memberId, generationId, assignments }) => {
      if (signal.aborted) return;
      const mine = assignments?.find((assignment) => assignment.topic === address.topic);
      onJoin(memberId, generationId ?? -1, mine?.partitions ?? []);
    });
    let isJoining = false;
    async function join(): Promise<void> {
      if (isJoining) return;
      isJoining = true;
      while (isJoining && !signal.aborted) {
        try {
          await consumer.joinGroup({});
          isJoining = false;
        } catch (error) {
          logger.warn({ group: groupId, err: error }, 'it cannot join the group yet');
          await clock.sleep(JOIN_AGAIN_MS, signal);
        }
      }
    }
    // What it could not do by itself any more.
    consumer.on('error', (error: Error) => {
      logger.warn({ group: groupId, err: error }, 'the group does not answer');
      join().catch(failed.reject);
    });

    isMember = true;
    join().catch(failed.reject);
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => aborted.resolve());
    if (signal.aborted) aborted.resolve();
    try {
      await Promise.race([aborted.promise, failed.promise]);
    } finally {
      for (const owned of membership?.partitions.values() ?? []) owned.abort();
      await Promise.allSettled(running.values());
      membership = undefined;
      isMember = false;
      // Others get the partitions at once; if it cannot be said, after the session's time.
      // By itself first: a client that is closed while it is a member may go on with its heartbeats.
      await closeInTime({ close: async () => consumer.leaveGroup(true) }, clock);
      await closeInTime({ close: () => consumer.close(true) }, clock);
    }
  }

  return { own, owned: () => [...(membership?.partitions.keys() ?? [])], commit, committed };
}
