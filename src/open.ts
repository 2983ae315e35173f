/**
 * Opens the log and the store that the settings name: the only file that names a back-end.
 */
import { existsSync } from 'node:fs';
import { access, chmod, constants, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { Config } from './config.ts';
import { type Engine, startEngine } from './engine/start.ts';
import { type EngineUser, readUsers, type Users } from './engine/users.ts';
import { type Disk, realDisk } from './log/disk.ts';
import { openFileLog } from './log/file.ts';
import { readKafkaAddress } from './log/kafka/address.ts';
import { openKafkaLog } from './log/kafka.ts';
import type { Log } from './log/log.ts';
import { isUnreachable, openSpooledLog, type SpooledLog } from './log/spool.ts';
import { openLater } from './open-later.ts';
import {
  type ClickHouseOptions,
  createClickHouseStore,
  readServerAddress,
} from './store/clickhouse.ts';
import type { Store } from './store/store.ts';

interface Tools {
  clock: Clock;
  logger: Logger;
  /** Called once when a part fails so that what is on disk is not known: the process must end. */
  onFatal: (error: Error) => void;
}

const DATABASE = 'clickstream';
const SOURCE_GROUP = 'clickstream-source';

const SPOOL_FOLDER = 'spool';

const MB = 1024 * 1024;
/** Holds the largest append of a request; what was sent on is deleted by whole segments. */
const SPOOL_SEGMENT_BYTES = 16 * MB;
const HOUR_MS = 3_600_000;

/**
 * Makes the folder that a setting names, if it is not there.
 * @throws AppError `bad_setting` when it cannot be made or written.
 */
export async function makeFolder(folder: string, setting: keyof Config): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new AppError(
      'bad_setting',
      `${setting} names ${folder}, which cannot be written as a folder (${code}); set it to one that can.`,
      { field: setting, cause },
    );
  }
}

/**
 * @param disk Where faults are tried out, one with faults.
 * @throws AppError `log_locked`, `log_corrupt`, `log_unreachable`, `data_newer`, `bad_setting`.
 */
export async function openLog(config: Config, tools: Tools, disk: Disk = realDisk): Promise<Log> {
  if (isLogShared(config)) {
    const login = config.CLICKSTREAM_KAFKA_LOGIN;
    return openKafkaLog({
      ...kafkaOptions(config, tools),
      address: readKafkaAddress(config.CLICKSTREAM_LOG, 'CLICKSTREAM_LOG', login),
      keepMs: config.CLICKSTREAM_LOG_KEEP_HOURS * HOUR_MS,
    });
  }
  const { path, parameters } = readAddress(config.CLICKSTREAM_LOG, 'CLICKSTREAM_LOG');
  const folder = resolve(config.CLICKSTREAM_DATA, path);
  await makeFolder(folder, 'CLICKSTREAM_LOG');
  return openFileLog({
    ...tools,
    folder,
    partitions: Number(parameters.get('partitions') ?? 1),
    segmentBytes: config.CLICKSTREAM_LOG_SEGMENT_MB * MB,
    keepMs: config.CLICKSTREAM_LOG_KEEP_HOURS * HOUR_MS,
    keepBytes: config.CLICKSTREAM_LOG_KEEP_MB * MB,
    keepAlwaysMs: HOUR_MS,
    bytesInFlightMax: 64 * MB,
    disk,
  });
}

/** Whether other processes may have the same log open. */
export function isLogShared(config: Config): boolean {
  return config.CLICKSTREAM_LOG.startsWith('kafka:');
}

/**
 * The topic that others fill (`CLICKSTREAM_SOURCE`), read as a log.
 * @throws AppError `bad_setting`; `log_unreachable` when it does not answer yet.
 */
export async function openSource(config: Config, tools: Tools): Promise<Log> {
  const { CLICKSTREAM_SOURCE: source, CLICKSTREAM_KAFKA_LOGIN: login } = config;
  const address = readKafkaAddress(source, 'CLICKSTREAM_SOURCE', login);
  // The processors' group is another one, also where both topics are on the same brokers.
  const isNamed = new URLSearchParams(source.split('?')[1]).has('group');
  return openKafkaLog({
    ...kafkaOptions(config, tools),
    address: isNamed ? address : { ...address, group: SOURCE_GROUP },
    isForeign: true,
  });
}

/**
 * A topic that a command writes to; made if it is not there.
 * @throws AppError `bad_setting`, `log_unreachable`.
 */
export async function openTopic(address: string, config: Config, tools: Tools): Promise<Log> {
  return openKafkaLog({
    ...kafkaOptions(config, tools),
    address: readKafkaAddress(address, '--to', config.CLICKSTREAM_KAFKA_LOGIN),
  });
}

/** Of a topic that keeps what it has. */
function kafkaOptions(config: Config, tools: Tools) {
  return {
    ...tools,
    isForeign: false,
    keepMs: Number.POSITIVE_INFINITY,
    ackMsMax: config.CLICKSTREAM_KAFKA_ACK_MS,
    sessionMs: config.CLICKSTREAM_KAFKA_SESSION_MS,
    bytesInFlightMax: 64 * MB,
  };
}

/**
 * `log` with a spool before it, for a collector whose log is not its own; undefined where none is
 * needed. Without a size there still is one while its folder is there: what it has is sent on.
 * @throws AppError `log_locked`, `log_corrupt`, `data_newer`, `log_full`, `bad_setting`.
 */
export async function openSpool(
  config: Config,
  tools: Tools,
  log: Log,
  disk: Disk = realDisk,
): Promise<SpooledLog | undefined> {
  if (log.isExclusive || !config.CLICKSTREAM_ROLES.includes('collect')) return undefined;
  const folder = resolve(config.CLICKSTREAM_DATA, SPOOL_FOLDER);
  if (config.CLICKSTREAM_SPOOL_MB === 0 && !existsSync(join(folder, 'log.json'))) return undefined;
  await makeFolder(folder, 'CLICKSTREAM_DATA');
  const spool = await openFileLog({
    ...tools,
    folder,
    partitions: 1,
    segmentBytes: SPOOL_SEGMENT_BYTES,
    // What was sent on is on the log.
    ...{ keepMs: 0, keepBytes: 0, keepAlwaysMs: 0 },
    bytesInFlightMax: 64 * MB,
    disk,
  });
  try {
    return await openSpooledLog({
      ...tools,
      log,
      spool,
      bytesMax: config.CLICKSTREAM_SPOOL_MB * MB,
      ageMsMax: config.CLICKSTREAM_SPOOL_HOURS * HOUR_MS,
    });
  } catch (error) {
    await spool.close();
    throw error;
  }
}

/**
 * As `open`, but that a process which only collects, and has a spool, begins without its log while
 * that does not answer. Others need to know whose the log is before they do anything.
 * @throws AppError as `open`.
 */
export async function openLogOrLater(
  config: Config,
  tools: Tools,
  open: typeof openLog,
): Promise<Log> {
  try {
    return await open(config, tools);
  } catch (error) {
    const { CLICKSTREAM_ROLES: roles, CLICKSTREAM_SPOOL_MB: spoolMb } = config;
    const canWait = roles.every((role) => role === 'collect') && spoolMb > 0;
    if (!isUnreachable(error) || !canWait) throw error;
    tools.logger.warn({ err: error }, 'the log does not answer: it begins with the spool');
    return openLater(() => open(config, tools), tools.onFatal);
  }
}

/** @throws AppError `bad_setting` when there is no log yet, for who must not make one. */
export function checkLogExists(config: Config): void {
  if (isLogShared(config)) return;
  const { path } = readAddress(config.CLICKSTREAM_LOG, 'CLICKSTREAM_LOG');
  const folder = resolve(config.CLICKSTREAM_DATA, path);
  if (existsSync(join(folder, 'log.json'))) return;
  throw new AppError(
    'bad_setting',
    `There is no log in ${folder}. Is CLICKSTREAM_DATA set as for the start?`,
    { field: 'CLICKSTREAM_DATA' },
  );
}

export interface OpenStore {
  store: Store;
  /** The embedded engine, if the store is one. */
  engine: Engine | undefined;
}

/**
 * The store, its schema up to date. An `engine:` store is started first, then used like a server.
 * @throws AppError `port_in_use`, `data_in_use`, `data_newer`, `engine_failed`, `store_…`.
 */
export async function openStore(config: Config, tools: Tools): Promise<OpenStore> {
  const address = config.CLICKSTREAM_STORE;
  const engine = address.startsWith('engine:') ? await openEngine(config, tools) : undefined;
  const store = createClickHouseStore(
    engine === undefined ? serverOptions(config) : engineOptions(engine.url, engine.owner),
  );
  try {
    await store.migrate();
  } catch (error) {
    await store.close();
    await engine?.close();
    if (engine !== undefined || !(error instanceof AppError)) throw error;
    const { code, message } = error;
    if (code === 'store_unreachable')
      throw new AppError(
        code,
        `${message} Start it, or set CLICKSTREAM_STORE to the address of another.`,
        { cause: error },
      );
    if (code !== 'store_refused') throw error;
    // Whatever it is about: it was not the first statement of a store that works.
    throw new AppError(code, `${message} Is CLICKSTREAM_STORE right, and what its user may?`, {
      cause: error,
    });
  }
  return { store, engine };
}

async function openEngine(config: Config, { clock, logger }: Tools): Promise<Engine> {
  const { path } = readAddress(config.CLICKSTREAM_STORE, 'CLICKSTREAM_STORE');
  const folder = resolve(config.CLICKSTREAM_DATA, path);
  await makeFolder(folder, 'CLICKSTREAM_STORE');
  // The engine's own user passes through to its data; what it cannot read it cannot list either.
  if (config.CLICKSTREAM_ENGINE_USER !== '') await chmod(config.CLICKSTREAM_DATA, 0o711);
  return startEngine({
    clock,
    logger,
    folder,
    port: config.CLICKSTREAM_ENGINE_PORT,
    memoryBytesMax: config.CLICKSTREAM_ENGINE_MEMORY_MB * MB,
    readers: config.CLICKSTREAM_ENGINE_READERS,
    runAs: config.CLICKSTREAM_ENGINE_USER,
  });
}

/** `file:log?partitions=2` → its path and parameters. */
function readAddress(address: string, setting: string) {
  const [path = '', query = ''] = address.slice(address.indexOf(':') + 1).split('?');
  const parameters = new URLSearchParams(query);
  const partitions = parameters.get('partitions') ?? '1';
  if (path === '' || !/^([1-9]|[1-5]\d|6[0-4])$/.test(partitions)) {
    throw new AppError(
      'bad_setting',
      `${setting} is "${address}"; it takes a folder and ?partitions=1 to 64.`,
      {
        field: setting,
      },
    );
  }
  return { path, parameters };
}

/** Where the engine of these settings listens, and who may ask it. */
export interface EngineAccess extends Users {
  url: string;
  database: string;
}

/**
 * @throws AppError `bad_setting` when there is no engine, or none yet.
 */
export function readAccess(config: Config): EngineAccess {
  const address = config.CLICKSTREAM_STORE;
  if (!address.startsWith('engine:')) {
    throw new AppError('bad_setting', 'CLICKSTREAM_STORE is a server, which has its own users.');
  }
  const folder = resolve(config.CLICKSTREAM_DATA, readAddress(address, 'CLICKSTREAM_STORE').path);
  if (!existsSync(join(folder, 'users.json'))) {
    throw new AppError(
      'bad_setting',
      `There is no store in ${folder} yet: its users are made at the first start. Is CLICKSTREAM_DATA set as for the start?`,
    );
  }
  const url = `http://127.0.0.1:${config.CLICKSTREAM_ENGINE_PORT}`;
  return { ...readUsers(folder), url, database: DATABASE };
}

/**
 * The store of a Clickstream that runs already, for commands that read. The engine answers them as
 * its reader; a server, as the user of its address.
 * @throws AppError `bad_setting`, `store_unreachable`.
 */
export async function openForReading(config: Config): Promise<Store> {
  let options: ClickHouseOptions;
  if (config.CLICKSTREAM_STORE.startsWith('engine:')) {
    const { url, reader } = readAccess(config);
    options = engineOptions(url, reader);
  } else options = serverOptions(config);
  const store = createClickHouseStore(options);
  if (await store.ping()) return store;
  await store.close();
  throw new AppError(
    'store_unreachable',
    `Nothing answers at ${options.url}: start Clickstream first, with the same settings as this command.`,
  );
}

function serverOptions(config: Config): ClickHouseOptions {
  const { CLICKSTREAM_STORE: address, CLICKSTREAM_STORE_CLUSTER: cluster } = config;
  return { ...readServerAddress(address), cluster };
}

function engineOptions(url: string, { name, password }: EngineUser): ClickHouseOptions {
  return { url, user: name, password, database: DATABASE };
}
