/** The address of a log on Kafka: every parameter, every refusal, and no password in one. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { rootCertificates } from 'node:tls';
import fc from 'fast-check';
import { AppError } from '../../base/errors.ts';
import { readKafkaAddress } from './address.ts';

const folder = mkdtempSync(join(tmpdir(), 'clickstream-address-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const [first = '', second = ''] = rootCertificates;
const pem = `# comment\n${first}\n${second}\n`;
const ca = file('ca.pem', pem);

const read = (address: string, login = '') => readKafkaAddress(address, 'CLICKSTREAM_LOG', login);

test('an address of hosts and a topic has a default for all else', () => {
  assert.deepEqual(read('kafka://one:9092,two.example:9093/clicks'), {
    brokers: ['one:9092', 'two.example:9093'],
    topic: 'clicks',
    group: 'clickstream',
    partitions: undefined,
    replicas: undefined,
    minIsr: 1,
    tls: undefined,
    sasl: undefined,
  });
});

test('every parameter has its place', () => {
  const query = `partitions=8&replicas=3&min_isr=2&group=mine&tls=yes&ca=${ca}&sasl=SCRAM-SHA-512`;
  assert.deepEqual(read(`kafka://ada:secret@one:9092/a.b-c_d?${query}`), {
    brokers: ['one:9092'],
    topic: 'a.b-c_d',
    group: 'mine',
    partitions: 8,
    replicas: 3,
    minIsr: 2,
    tls: { ca: pem },
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'ada', password: 'secret' },
  });
});

test('a host can be an address of IPv6, in brackets', () => {
  assert.deepEqual(read('kafka://[::1]:9092,[2001:DB8::2]:9093/t').brokers, [
    '[::1]:9092',
    '[2001:DB8::2]:9093',
  ]);
});

test('TLS without a file knows who Node knows', () => {
  assert.deepEqual(read('kafka://h:1/t?tls=yes').tls, {});
  assert.equal(read('kafka://h:1/t?tls=no').tls, undefined);
});

test('a user has PLAIN where no mechanism is named', () => {
  const sasl = (query: string) => read(`kafka://ada:secret@h:1/t${query}`).sasl?.mechanism;
  assert.equal(sasl(''), 'PLAIN');
  assert.equal(sasl('?sasl=SCRAM-SHA-256'), 'SCRAM-SHA-256');
});

test('user and password are of any characters, percent-encoded', () => {
  const any = fc.string({ minLength: 1, unit: 'binary' });
  fc.assert(
    fc.property(any, any, (username, password) => {
      const login = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
      assert.deepEqual(read(`kafka://${login}@h:1/t`).sasl, {
        mechanism: 'PLAIN',
        username,
        password,
      });
    }),
  );
});

test('the login of the setting is taken as it stands, and that of the address goes before it', () => {
  const login = 'ada:p%41:/@ ?';
  const fromSetting = read('kafka://h:1/t?sasl=SCRAM-SHA-256', login).sasl;
  assert.deepEqual(fromSetting, {
    mechanism: 'SCRAM-SHA-256',
    username: 'ada',
    password: 'p%41:/@ ?',
  });
  assert.equal(read('kafka://bob:other@h:1/t', login).sasl?.username, 'bob');
});

const ENCODED = 'special characters of user and password are percent-encoded';
const LOGIN = 'a login is user:password, and neither is empty';
const NO_ADDRESS = `it is no address of Kafka, in which ${ENCODED}`;
const notPem = file('key.pem', '-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n');
const cut = file('cut.pem', `${first}\n${second.slice(0, 200)}\n-----END CERTIFICATE-----\n`);
const gone = join(folder, 'gone.pem');
const MECHANISMS = '"sasl" is one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512';

const REFUSED: [address: string, why: string][] = [
  ['kafka://h:1', NO_ADDRESS],
  ['kafka:///t', NO_ADDRESS],
  ['kafka://@h:1/t', NO_ADDRESS],
  ['http://h:1/t', NO_ADDRESS],
  ['kafka://h:1/two/topics', NO_ADDRESS],
  [`kafka://h:1/${'t'.repeat(250)}`, NO_ADDRESS],
  ['kafka://h/t', `broker 1 of 1 is not host:port, and ${ENCODED}`],
  ['kafka://h:1,/t', `broker 2 of 2 is not host:port, and ${ENCODED}`],
  ['kafka://h:1,i:0/t', `broker 2 of 2 is not host:port, and ${ENCODED}`],
  ['kafka://h:65536/t', `broker 1 of 1 is not host:port, and ${ENCODED}`],
  ['kafka://::1:9092/t', `broker 1 of 1 is not host:port, and ${ENCODED}`],
  ['kafka://h:1/t?partition=4', '"partition" is not a parameter'],
  ['kafka://h:1/t?partitions=0', '"partitions" is a number from 1 to 1000'],
  ['kafka://h:1/t?partitions=1001', '"partitions" is a number from 1 to 1000'],
  ['kafka://h:1/t?replicas=two', '"replicas" is a number from 1 to 100'],
  ['kafka://h:1/t?min_isr=1.5', '"min_isr" is a number from 1 to 100'],
  ['kafka://h:1/t?group=', '"group" is empty'],
  ['kafka://h:1/t?tls=true', '"tls" is yes or no'],
  [`kafka://h:1/t?ca=${ca}`, '"ca" needs tls=yes'],
  [`kafka://h:1/t?tls=yes&ca=${gone}`, `the file of "ca", "${gone}", cannot be read (ENOENT)`],
  [`kafka://h:1/t?tls=yes&ca=${notPem}`, `the file of "ca", "${notPem}", is not of certificates`],
  [`kafka://h:1/t?tls=yes&ca=${cut}`, `the file of "ca", "${cut}", is not of certificates`],
  ['kafka://a:b@h:1/t?sasl=plain', MECHANISMS],
  ['kafka://a:b@h:1/t?sasl=GSSAPI', MECHANISMS],
  ['kafka://h:1/t?sasl=PLAIN', '"sasl" needs user and password'],
  ['kafka://ada@h:1/t', LOGIN],
  ['kafka://ada:@h:1/t', LOGIN],
  ['kafka://:secret@h:1/t', LOGIN],
  ['kafka://ada:%zz@h:1/t', ENCODED],
];
for (const [address, why] of REFUSED) {
  const shown = address.replace(`${folder}/`, '').slice(0, 60);
  test(`refused is ${shown}`, () => {
    assert.throws(
      () => read(address),
      (error) => {
        assert.ok(error instanceof AppError);
        assert.deepEqual([error.code, error.field], ['bad_setting', 'CLICKSTREAM_LOG']);
        assert.ok(
          error.message.startsWith(`CLICKSTREAM_LOG cannot be used: ${why}`),
          error.message,
        );
        return true;
      },
    );
  });
}

const UNENCODED = [
  's3cr3t/pass',
  's3cr3t?pass',
  's3cr3t@pass',
  '@s3cr3t',
  '%s3cr3t',
  '/s3cr3t?s3cr3t',
];
const LEAKY = ['@h:1/t', '@h:1/t?partitions=0', '@h/t', '', '/t'].flatMap((rest) =>
  UNENCODED.map((password) => `kafka://ada:${password}${rest}`),
);
for (const address of [...LEAKY, 'kafka://ada:1/s3cr3t?s3cr3t=@h:1/t']) {
  test(`no refusal repeats the password of ${address}`, () => {
    try {
      read(address);
    } catch (error) {
      assert.ok(error instanceof AppError, String(error));
      assert.doesNotMatch(`${error.message} ${error.stack}`, /s3cr3t/);
    }
  });
}
