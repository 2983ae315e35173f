/**
 * The topic of a log: made if it is not there, checked if it is, and watched while it is used: who
 * deletes it and makes it again has made another log.
 */
import { Admin, ConfigResourceTypes } from '@platformatic/kafka';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { KafkaAddress } from './address.ts';
import {
  askInTurn,
  clientOptions,
  closeInTime,
  describeTopic,
  refuseOtherTls,
  type Topic,
  untilAnswered,
} from './connect.ts';
import { isCutOff, saidBy } from './refusal.ts';

export const EARLIEST = -2n;
export const LATEST = -1n;

const PARTITIONS = 4;
const REPLICAS = 2;
/** Of one batch, where the topic is made; an append to one partition is never cut. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** What the head of a batch takes of it. */
const BATCH_HEAD_BYTES = 1024;
/** Below it a start warns: clocks are wrong by more than this. */
const AHEAD_MS_MIN = 86_400_000;
/** A collector whose clock is ahead must not be refused for it. */
const FOR_EVER_MS = '9223372036854775807';
/** How long a start waits for the brokers. */
const OPEN_MS_MAX = 10_000;
/** After it was made, until each broker knows it. */
const MADE_MS = 50;

export interface WatchedTopic {
  readonly admin: Admin;
  /** What one append may bring to a partition. */
  readonly batchBytesMax: number;
  /** As it was when it was last asked for. */
  now(): Topic;
  /** Asks again. @throws AppError `log_changed`, or what the client throws. */
  refresh(): Promise<Topic>;
  /**
   * By partition, the first offset of this time (ms since 1970) or later, `EARLIEST` or `LATEST`;
   * -1 where all records are older.
   * @throws AppError `log_changed`, or what the client throws.
   */
  offsetsAt(partitions: readonly number[], time: bigint): Promise<Map<number, number>>;
}

/**
 * @param makes Whether a topic that is not there is made; else it is refused.
 * @throws AppError `bad_setting`, `log_unreachable`.
 */
export async function openTopic(
  address: KafkaAddress,
  { clock, logger, makes }: { clock: Clock; logger: Logger; makes: boolean },
): Promise<WatchedTopic> {
  const admin = askInTurn(new Admin(clientOptions(address)));
  try {
    const retries = { clock, topic: address.topic, msMax: OPEN_MS_MAX };
    const topic = await untilAnswered(retries, async () => {
      const found = await describeTopic(admin, address.topic).catch(async (error: unknown) => {
        if (isCutOff(error)) await refuseOtherTls(address, clock);
        throw error;
      });
      if (found !== undefined) return found;
      if (!makes)
        throw new AppError('bad_setting', `There is no topic ${address.topic} on these brokers.`);
      await make(admin, address, logger);
      return untilKnown(admin, address, clock);
    });
    if (address.partitions !== undefined && address.partitions !== topic.partitions) {
      throw new AppError(
        'bad_setting',
        `The topic ${address.topic} has ${topic.partitions} partitions, not ${address.partitions}. ` +
          'The number is part of where an event belongs: set it as it is, or name another topic.',
      );
    }
    const batchBytesMax = makes
      ? await untilAnswered(retries, () => checkSettings(admin, address, logger))
      : BATCH_BYTES_MAX;
    return watch(admin, address, topic, batchBytesMax);
  } catch (error) {
    await closeInTime(admin, clock);
    const isUnreachable = error instanceof AppError && error.code === 'log_unreachable';
    // Who wants a login says nothing either.
    if (isUnreachable && address.sasl === undefined && isCutOff(error.cause))
      error.message += ' Brokers that want user and password do that.';
    throw error;
  }
}

async function make(admin: Admin, address: KafkaAddress, logger: Logger): Promise<void> {
  const { topic, partitions = PARTITIONS, minIsr } = address;
  const { brokers } = await admin.metadata({ topics: [], forceUpdate: true });
  const replicas = address.replicas ?? Math.min(REPLICAS, brokers.size);
  const configs = Object.entries({
    // What is processed is deleted by the processors, and what is not must not be.
    'retention.ms': '-1',
    'retention.bytes': '-1',
    'cleanup.policy': 'delete',
    'min.insync.replicas': String(minIsr),
    'max.message.bytes': String(BATCH_BYTES_MAX),
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.after.max.ms': FOR_EVER_MS,
    'unclean.leader.election.enable': 'false',
  }).map(([name, value]) => ({ name, value }));
  try {
    await admin.createTopics({ topics: [topic], partitions, replicas, configs });
    logger.info({ topic, partitions, replicas, min_isr: minIsr }, 'made the topic of the log');
  } catch (error) {
    // Another process was faster.
    if (!saidBy(error, 'TOPIC_ALREADY_EXISTS')) throw error;
  }
}

async function untilKnown(admin: Admin, { topic }: KafkaAddress, clock: Clock): Promise<Topic> {
  for (;;) {
    const found = await describeTopic(admin, topic);
    const numbers = Array.from({ length: found?.partitions ?? 0 }, (_, partition) => partition);
    if (found && numbers.every((number) => found.leaderOf(number) !== undefined)) return found;
    await clock.sleep(MADE_MS);
  }
}

/**
 * Refuses settings with which records would go, or change, behind the log's back.
 * @returns How many bytes of records a batch takes.
 */
async function checkSettings(
  admin: Admin,
  { topic }: KafkaAddress,
  logger: Logger,
): Promise<number> {
  const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }];
  const [described] = await admin.describeConfigs({ resources });
  const settings = new Map(described?.configs.map(({ name, value }) => [name, value]));
  const refused = (name: string, needs: string): AppError =>
    new AppError(
      'bad_setting',
      `The topic ${topic} has ${name}=${settings.get(name)}; as a log it needs ${needs}.`,
    );
  if (settings.get('cleanup.policy') !== 'delete') throw refused('cleanup.policy', 'delete');
  if (settings.get('message.timestamp.type') !== 'CreateTime')
    throw refused('message.timestamp.type', 'CreateTime');
  const { retention_ms, retention_bytes, min_isr } = {
    retention_ms: Number(settings.get('retention.ms')),
    retention_bytes: Number(settings.get('retention.bytes')),
    min_isr: Number(settings.get('min.insync.replicas')),
  };
  logger.info({ topic, min_isr }, 'the topic of the log');
  if (retention_ms !== -1 || retention_bytes !== -1)
    logger.warn(
      { topic, retention_ms, retention_bytes },
      'the brokers delete records of this topic by age or size, processed or not',
    );
  const aheadMs = Number(settings.get('message.timestamp.after.max.ms') ?? FOR_EVER_MS);
  if (aheadMs < AHEAD_MS_MIN)
    logger.warn(
      { topic, ahead_ms: aheadMs },
      'a collector whose clock is further ahead is refused',
    );
  return Number(settings.get('max.message.bytes')) - BATCH_HEAD_BYTES;
}

function watch(
  admin: Admin,
  { topic: name }: KafkaAddress,
  first: Topic,
  batchBytesMax: number,
): WatchedTopic {
  let topic = first;
  let asking: Promise<Topic> | undefined;

  async function ask(): Promise<Topic> {
    const found = await describeTopic(admin, name);
    if (found === undefined || found.id !== first.id) {
      throw new AppError(
        'log_changed',
        `The topic ${name} was deleted${found === undefined ? '' : ' and made again'}: it is another log. Start again to go on with it.`,
      );
    }
    if (found.partitions !== first.partitions) {
      throw new AppError(
        'log_changed',
        `The topic ${name} has ${found.partitions} partitions now, and had ${first.partitions}. The number is part of where an event belongs: make a topic with the number you want, and name that one.`,
      );
    }
    topic = found;
    return found;
  }

  function refresh(): Promise<Topic> {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  return {
    admin,
    batchBytesMax,
    now: () => topic,
    refresh,
    async offsetsAt(numbers, timestamp) {
      const partitions = numbers.map((partitionIndex) => ({ partitionIndex, timestamp }));
      try {
        const [listed] = await admin.listOffsets({ topics: [{ name, partitions }] });
        return new Map(
          listed?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]),
        );
      } catch (error) {
        // A leader may have moved.
        await refresh();
        throw error;
      }
    },
  };
}
