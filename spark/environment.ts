/** What `npm run spark` hands to the job: the settings of this shell, each address made a full one. */
import { resolve } from 'node:path';
import { ProgramError } from '../local/error.ts';
import { AppError } from '../src/base/errors.ts';
import type { Config } from '../src/config.ts';
import { readKafkaAddress } from '../src/log/kafka/address.ts';
import { type EngineAccess, openForReading, readAccess } from '../src/open.ts';

export interface JobEnvironment {
  environment: Record<string, string>;
  /** For a person, without a password: `127.0.0.1:9092/clickstream`. */
  reads: string;
  writes: string;
}

/**
 * @param set what this shell has set
 * @throws ProgramError or AppError that says in one sentence what to start or to set.
 */
export async function jobEnvironment(
  config: Config,
  set: Readonly<Record<string, string | undefined>>,
): Promise<JobEnvironment> {
  const { CLICKSTREAM_LOG: log, CLICKSTREAM_KAFKA_LOGIN: login } = config;
  if (!log.startsWith('kafka://'))
    throw new ProgramError(
      `Spark reads Kafka, and CLICKSTREAM_LOG is "${log}": start one with npm run kafka, and set CLICKSTREAM_LOG to the address that it prints.`,
    );
  const { brokers, topic } = readKafkaAddress(log, 'CLICKSTREAM_LOG', login);
  const store = await storeOf(config);
  const own = Object.entries(set).flatMap(([name, value]) =>
    name.startsWith('CLICKSTREAM_') && value !== undefined ? [[name, value]] : [],
  );
  return {
    environment: {
      ...Object.fromEntries(own),
      CLICKSTREAM_LOG: withFullPath(log),
      CLICKSTREAM_STORE: store,
    },
    reads: `${brokers.join(',')}/${topic}`,
    writes: store.replace(/\/\/.*@/s, '//'),
  };
}

/** The address with the full path of `ca`: the job runs in a folder of its own. */
export function withFullPath(log: string): string {
  return log.replace(/(?<=[?&]ca=)[^&]*/, (ca) => {
    const path = new URLSearchParams(`ca=${ca}`).get('ca') ?? '';
    return encodeURIComponent(resolve(path)).replaceAll('%2F', '/');
  });
}

/** As `http://user:password@host:port/database`, once it has answered. */
async function storeOf(config: Config): Promise<string> {
  const address = config.CLICKSTREAM_STORE;
  if (!address.startsWith('engine:')) {
    await untilItAnswered(config, 'start it, or set CLICKSTREAM_STORE to the address of another');
    return address;
  }
  const how =
    'start Clickstream as npm run spark -- --help says, with the same CLICKSTREAM_DATA and CLICKSTREAM_ENGINE_PORT';
  const { url, owner, database } = accessOf(config, how);
  await untilItAnswered(config, how);
  const { host } = new URL(url);
  return `http://${owner.name}:${encodeURIComponent(owner.password)}@${host}/${database}`;
}

function accessOf(config: Config, how: string): EngineAccess {
  try {
    return readAccess(config);
  } catch (cause) {
    if (!(cause instanceof AppError) || cause.code !== 'bad_setting') throw cause;
    throw new ProgramError(`There is no store of an embedded engine yet: ${how}.`, { cause });
  }
}

async function untilItAnswered(config: Config, how: string): Promise<void> {
  try {
    await (await openForReading(config)).close();
  } catch (cause) {
    if (!(cause instanceof AppError) || cause.code !== 'store_unreachable') throw cause;
    throw new ProgramError(`The store does not answer: ${how}.`, { cause });
  }
}
