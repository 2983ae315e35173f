/**
 * How the brokers are talked to: options of every client, one error of ours for each of theirs, and
 * the topic as the brokers describe it, asked again when one of them says that it has changed.
 */
import { isIP } from 'node:net';
import {
  Admin,
  type Base,
  type BaseOptions,
  type Connection,
  type ConnectionOptions,
  ConnectionPool,
  GenericError,
  kGetBootstrapConnection,
} from '@platformatic/kafka';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { KafkaAddress } from './address.ts';
import { wantsTls, whyHopeless } from './refusal.ts';

const CLIENT_ID = 'clickstream';
const CONNECT_MS = 2_000;
/** Longer than a request may wait at the broker, and what a broker that hangs costs each time. */
const REQUEST_MS = 3_000;
/** For how long a leader may wait for its replicas before it says that they have not answered. */
const REPLICAS_MS = 2_000;
const RETRY_AFTER_S = 1;
/** How long leaders are trusted; whoever meets another one asks at once. */
const METADATA_MS = 2_000;
const RETRY_MS = 100;

/** A client may wait for ever for a broker that died: what it has under way has ended before. */
const CLOSE_MS_MAX = 500;

/** Closes a client; one that does not end in time is left to the end of the process. */
export async function closeInTime(client: { close(): Promise<void> }, clock: Clock): Promise<void> {
  const closed = new AbortController();
  const closing = client.close().catch((error: unknown) => {
    if (!(error instanceof Error) || !GenericError.isGenericError(error)) throw error;
  });
  await Promise.race([closing, clock.sleep(CLOSE_MS_MAX, closed.signal)]);
  closed.abort();
}

export function clientOptions(address: KafkaAddress): BaseOptions & { clientId: string } {
  return {
    clientId: CLIENT_ID,
    bootstrapBrokers: address.brokers,
    metadataMaxAge: METADATA_MS,
    timeout: REPLICAS_MS,
    // Tried again here, where it is known for how long.
    retries: 0,
    retryDelay: RETRY_MS,
    autocreateTopics: false,
    ...connectionOptions(address),
  };
}

/**
 * A client asks the first broker that takes a connection where the others stand. One that hangs takes
 * connections, and would be asked again and again: when a connection has ended, the next one is asked.
 */
export function askInTurn<C extends Base>(client: C): C {
  const connect = client[kGetBootstrapConnection].bind(client);
  const watched = new WeakSet<Connection>();
  let turn = 0;
  client[kGetBootstrapConnection] = (callback) =>
    connect((error, connection) => {
      if (connection !== undefined && !watched.has(connection)) {
        watched.add(connection);
        connection.once('close', () => {
          turn++;
        });
      }
      callback(error, connection);
    }, turn);
  return client;
}

export function createPool(address: KafkaAddress): ConnectionPool {
  return new ConnectionPool(CLIENT_ID, connectionOptions(address));
}

function connectionOptions({ brokers, tls, sasl }: KafkaAddress): ConnectionOptions {
  // Who routes by the name in the handshake needs it there; an address is not allowed in it. The
  // client takes one choice for all brokers, so the ones that are named here decide.
  const areNames = brokers.every((broker) => isIP(hostOf(broker)) === 0);
  return {
    connectTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    ...(tls === undefined ? {} : { tls, tlsServerName: areNames }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

export function unreachable(topic: string, error: unknown): AppError {
  return new AppError(
    'log_unreachable',
    `The brokers of ${topic} do not answer: ${reason(error)}.`,
    {
      cause: error,
      retryAfterS: RETRY_AFTER_S,
    },
  );
}

function hostOf(broker: string): string {
  return broker.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

/**
 * For a connection that the brokers cut off: whether they talk with TLS where we do not, or the other
 * way round, which they say to who has no login.
 * @throws AppError `bad_setting` when that is so.
 */
export async function refuseOtherTls(address: KafkaAddress, clock: Clock): Promise<void> {
  const { topic, tls } = address;
  const options = clientOptions({ ...address, tls: undefined, sasl: undefined });
  const admin = askInTurn(new Admin(options));
  let why: string | undefined;
  try {
    await admin.listApis();
    if (tls !== undefined)
      why = `The brokers of ${topic} speak no TLS at this port: name the one for it, or set tls=no.`;
  } catch (error) {
    if (tls === undefined && wantsTls(error)) why = whyHopeless(topic, error);
  } finally {
    await closeInTime(admin, clock);
  }
  if (why !== undefined) throw new AppError('bad_setting', why);
}

/** The innermost errors, which say what happened. */
function reason(error: unknown): string {
  const found = new Set<string>();
  const look = (one: unknown): void => {
    if (one instanceof AggregateError && one.errors.length > 0) one.errors.forEach(look);
    else if (one instanceof Error && one.cause instanceof Error) look(one.cause);
    else if (one instanceof Error && 'apiId' in one) found.add(String(one.apiId));
    else if (one instanceof Error) found.add(one.message.replace(/\.$/, '') || one.name);
    else found.add(String(one));
  };
  look(error);
  return [...found].slice(0, 3).join('; ');
}

export interface Retries {
  clock: Clock;
  topic: string;
  /** How long it is tried. */
  msMax: number;
  /** The log is in use: what the brokers refuse now they have let through before. */
  isOpen?: boolean;
  signal?: AbortSignal;
}

/**
 * Repeats `work` while brokers move, come and go.
 * @throws AppError `log_unreachable` when the time is over, `bad_setting` when no try can help.
 */
export async function untilAnswered<T>(retries: Retries, work: () => Promise<T>): Promise<T> {
  const { clock, topic, msMax, isOpen = false, signal } = retries;
  const untilMs = clock.elapsed() + msMax;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (!(error instanceof Error) || !GenericError.isGenericError(error)) throw error;
      const why = whyHopeless(topic, error);
      if (why !== undefined && !isOpen) throw new AppError('bad_setting', why, { cause: error });
      if (signal?.aborted || clock.elapsed() >= untilMs) throw unreachable(topic, error);
    }
    await clock.sleep(RETRY_MS, signal);
  }
}

interface Broker {
  host: string;
  port: number;
}

/** The topic as it is now. */
export interface Topic {
  id: string;
  partitions: number;
  leaderOf(partition: number): Broker | undefined;
}

/** @returns undefined when there is no such topic. */
export async function describeTopic(admin: Admin, topic: string): Promise<Topic | undefined> {
  let metadata: Awaited<ReturnType<Admin['metadata']>>;
  try {
    metadata = await admin.metadata({
      topics: [topic],
      forceUpdate: true,
      autocreateTopics: false,
    });
  } catch (error) {
    // The client says it in a text of its own.
    if (error instanceof Error && error.message.startsWith('Unknown topic')) return undefined;
    throw error;
  }
  const found = metadata.topics.get(topic);
  if (found === undefined) return undefined;
  return {
    id: found.id,
    partitions: found.partitionsCount,
    leaderOf(partition) {
      const leader = found.partitions[partition]?.leader;
      return leader === undefined ? undefined : metadata.brokers.get(leader);
    },
  };
}
