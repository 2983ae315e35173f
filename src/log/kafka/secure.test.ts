/** Brokers over TLS and with a login: what works, and the one sentence for each thing that is wrong. */
import assert from 'node:assert/strict';
import { pbkdf2Sync, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer, type Server } from 'node:tls';
import { inspect } from 'node:util';
import { alterUserScramCredentialsV0 } from '@platformatic/kafka';
import { type KafkaCluster, startKafka, whyNoKafka } from '../../../kafka/cluster.ts';
import {
  type Certificate,
  findKeytool,
  KEYSTORE_PASSWORD,
  makeCertificate,
} from '../../../kafka/secure.ts';
import { ProgramError } from '../../../local/error.ts';
import { type Clock, realClock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import { createLogger } from '../../base/logger.ts';
import { openKafkaLog } from '../kafka.ts';
import type { Log, NewRecord } from '../log.ts';
import { readKafkaAddress } from './address.ts';
import { createPool } from './connect.ts';

const USER = 'ada';
const PASSWORD = 'p@:/?#%&+= "\\x';
const LOGIN = `${USER}:${encodeURIComponent(PASSWORD)}`;
/** As the protocol numbers them. */
const SCRAM = { 'SCRAM-SHA-256': 1, 'SCRAM-SHA-512': 2 };
/** Long enough that a wait for the brokers is none of these tests. */
const HURRIED: Clock = { ...realClock, elapsed: () => realClock.elapsed() * 40 };

async function whyNoKeytool(): Promise<string | undefined> {
  try {
    await findKeytool();
    return undefined;
  } catch (error) {
    if (error instanceof ProgramError) return error.message;
    throw error;
  }
}

const skip = (await whyNoKafka()) ?? (await whyNoKeytool()) ?? false;

describe('Kafka over TLS and with a login', { skip }, () => {
  let folder: string;
  let kafka: KafkaCluster;
  let ca: string;
  const servers: Server[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clickstream-secure-'));
    const secure = { user: USER, password: PASSWORD };
    kafka = await startKafka({ folder: join(folder, 'kafka'), layout: 'single', secure });
    ca = kafka.ca ?? '';
  });
  after(async () => {
    for (const server of servers) server.close();
    await kafka.close();
    await rm(folder, { recursive: true, force: true });
  });

  interface Opening {
    login?: string;
    /** Instead of the node's. */
    brokers?: string;
    query?: string;
    setting?: string;
    clock?: Clock;
  }

  /** Over TLS with the node's own certificate, where nothing else is said. */
  function addressOf({ login = LOGIN, brokers = kafka.brokers, query, setting = '' }: Opening) {
    const parameters = query ?? `tls=yes&ca=${ca}`;
    const user = login === '' ? '' : `${login}@`;
    const topic = `topic-${randomUUID()}`;
    const address = `kafka://${user}${brokers}/${topic}?partitions=1&group=${topic}&${parameters}`;
    return readKafkaAddress(address, 'CLICKSTREAM_LOG', setting);
  }

  function open(opening: Opening): Promise<Log> {
    return openKafkaLog({
      address: addressOf(opening),
      isForeign: false,
      keepMs: 3_600_000,
      ackMsMax: 5_000,
      sessionMs: 2_000,
      bytesInFlightMax: 64 * 1024 * 1024,
      clock: opening.clock ?? realClock,
      logger: createLogger('silent'),
      onFatal(error) {
        throw error;
      },
    });
  }

  /** Appends, reads, joins the group and commits: each has connections of its own. */
  async function use(log: Log): Promise<void> {
    const record: NewRecord = { key: 'k', bytes: Buffer.from('a record'), timeMs: 1_000 };
    assert.deepEqual(await log.append([record]), [{ partition: 0, offset: 0 }]);
    const [read] = await log.read(0, 0, { recordsMax: 1, bytesMax: 99, waitMs: 5_000 });
    assert.equal(Buffer.from(read?.bytes ?? []).toString(), 'a record');
    const leaving = new AbortController();
    await log.own(leaving.signal, async (partition) => {
      await log.commit(partition, 1, 'as a member');
      leaving.abort();
    });
    assert.deepEqual(await log.committed(0), { offset: 1, note: 'as a member' });
    await log.close();
  }

  /** The one sentence with which opening ends: nobody is asked again, nothing tells the password. */
  async function refusal(opening: Opening, code = 'bad_setting'): Promise<string> {
    const error = await open(opening).then(
      (log) => log.close().then(() => assert.fail('it was opened')),
      (error: unknown) => error,
    );
    assert.ok(error instanceof AppError, inspect(error));
    assert.equal(error.code, code, error.message);
    const all = inspect(error, { depth: 20, showHidden: true });
    for (const secret of ['s3cr3t', PASSWORD, LOGIN.slice(4)])
      assert.ok(!all.includes(secret), all);
    return error.message.replace(/topic-[\w-]+/g, 'T');
  }

  async function addScramUser(mechanism: keyof typeof SCRAM): Promise<void> {
    const [host = '', port] = kafka.brokers.split(':');
    const pool = createPool(addressOf({}));
    const connection = await pool.get({ host, port: Number(port) });
    const iterations = 4_096;
    const salt = randomBytes(16);
    const bits = mechanism.slice(-3);
    const saltedPassword = pbkdf2Sync(PASSWORD, salt, iterations, Number(bits) / 8, `sha${bits}`);
    const user = { name: USER, mechanism: SCRAM[mechanism], iterations, salt, saltedPassword };
    await alterUserScramCredentialsV0.api.async(connection, [], [user]);
    await pool.close();
  }

  /** Speaks TLS with this certificate, and nothing else. */
  async function listen(
    certificate: Certificate,
  ): Promise<{ port: number; name: Promise<string> }> {
    const pfx = readFileSync(certificate.keystore);
    const server = createServer({ pfx, passphrase: KEYSTORE_PASSWORD });
    servers.push(server);
    const name = once(server, 'secureConnection').then(([socket]) => {
      socket.destroy();
      return socket.servername as string;
    });
    await once(server.listen(0), 'listening');
    return { port: (server.address() as AddressInfo).port, name };
  }

  test('with PLAIN, to an address that the certificate has, the log does all that it does', async () => {
    const warnings: Error[] = [];
    const hear = (warning: Error) => warnings.push(warning);
    process.on('warning', hear);
    await use(await open({}));
    process.off('warning', hear);
    assert.deepEqual(warnings, []);
  });

  test('the login can be the setting’s instead of the address’s', async () => {
    await use(await open({ login: '', setting: `${USER}:${PASSWORD}` }));
  });

  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
    test(`with ${mechanism} the log does all that it does, and a wrong password is refused`, async () => {
      const query = `tls=yes&ca=${ca}&sasl=${mechanism}`;
      const words = /^The brokers of T refuse the user or the password: set both/;
      assert.match(await refusal({ query }), words);
      await addScramUser(mechanism);
      await use(await open({ query }));
      assert.match(await refusal({ query, login: 'ada:s3cr3t' }), words);
    });
  }

  test('a wrong password and an unknown user are told at once', async () => {
    for (const login of ['ada:s3cr3t', 'nobody:s3cr3t'])
      assert.equal(
        await refusal({ login }),
        'The brokers of T refuse the user or the password: set both as the brokers know them, and "sasl" to the mechanism that they know them for.',
      );
  });

  test('a login at a port that takes none is told', async () => {
    assert.equal(
      await refusal({ brokers: plainBrokers(), query: '' }),
      'The brokers of T take no login at this port: leave out user and password, or name the port for those who have them.',
    );
  });

  /** The port of the same node without TLS and login. */
  function plainBrokers(): string {
    return kafka.brokers.replace(/\d+$/, (port) => String(Number(port) + 1));
  }

  test('no login where one is wanted ends with a hint that one may be missing', async () => {
    assert.equal(
      await refusal({ login: '', clock: HURRIED }, 'log_unreachable'),
      'The brokers of T do not answer: Connection closed. Brokers that want user and password do that.',
    );
  });

  test('without tls=yes at a port of TLS it says so, with a login and without', async () => {
    for (const login of [LOGIN, ''])
      assert.equal(
        await refusal({ login, query: '' }),
        'The brokers of T speak TLS at this port: set tls=yes.',
      );
  });

  test('tls=yes at a port without TLS is told, with a login and without', async () => {
    for (const login of [LOGIN, ''])
      assert.equal(
        await refusal({ login, brokers: plainBrokers() }),
        'The brokers of T speak no TLS at this port: name the one for it, or set tls=no.',
      );
  });

  test('a certificate that somebody else signed is told, with what to set', async () => {
    const other = await makeCertificate(join(folder, 'other'), 'ip:127.0.0.1');
    for (const query of ['tls=yes', `tls=yes&ca=${other.pem}`])
      assert.match(
        await refusal({ query }),
        /^The brokers of T have a certificate that nobody signed who is known here \([A-Z_]+\): set "ca" to a file with the certificate of who did\.$/,
      );
  });

  test('a certificate for other names is told with its names', async () => {
    const certificate = await makeCertificate(join(folder, 'named'), 'dns:kafka.example');
    const { port } = await listen(certificate);
    for (const host of ['127.0.0.1', 'localhost'])
      assert.equal(
        await refusal({ brokers: `${host}:${port}`, query: `tls=yes&ca=${certificate.pem}` }),
        `The brokers of T have a certificate for DNS:kafka.example, not for ${host}: name them as it does, or give them one with their names in it.`,
      );
  });

  test('a certificate whose time is over is told', async () => {
    const days = ['-startdate', '-9d', '-validity', '5'];
    const certificate = await makeCertificate(join(folder, 'old'), 'ip:127.0.0.1', days);
    const { port } = await listen(certificate);
    assert.equal(
      await refusal({ brokers: `127.0.0.1:${port}`, query: `tls=yes&ca=${certificate.pem}` }),
      "The brokers of T have a certificate that is not valid at this time (CERT_HAS_EXPIRED): give them another one, or set this machine's clock.",
    );
  });

  test('a broker hears the name by which it was called, and no address for one', async () => {
    const keystore = join(dirname(ca), 'keystore.p12');
    for (const [host, expected] of [
      ['localhost', 'localhost'],
      ['127.0.0.1', false],
    ]) {
      const { port, name } = await listen({ keystore, pem: ca });
      const opening = { login: '', brokers: `${host}:${port}`, clock: HURRIED };
      const refused = refusal(opening, 'log_unreachable');
      assert.equal(await name, expected);
      servers.at(-1)?.close();
      await refused;
    }
  });
});
