/**
 * The address of a log on Kafka, as it stands in a setting:
 * `kafka://user:password@host:port,host:port/topic?partitions=4&replicas=2&tls=yes`.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AppError } from '../../base/errors.ts';

export interface KafkaAddress {
  /** `host:port` of some brokers; the others are heard of from them. */
  brokers: string[];
  topic: string;
  /** The consumer group that shares the partitions: one for each store. */
  group: string;
  /** How many partitions the topic has, or is made with; undefined: as it has, or four. */
  partitions: number | undefined;
  /** Copies of each record, where the topic is made; undefined: two, or one where there is one broker. */
  replicas: number | undefined;
  /** How many copies there must be before a record is acknowledged, where the topic is made. */
  minIsr: number;
  /** Certificates of who signed the brokers' ones, or none but those that Node knows; undefined: no TLS. */
  tls: { ca?: string } | undefined;
  sasl: { mechanism: SaslMechanism; username: string; password: string } | undefined;
}

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
type SaslMechanism = (typeof MECHANISMS)[number];

const KAFKA_ADDRESS =
  'kafka://host:port,host:port/topic[?partitions=N&replicas=N&min_isr=N&group=NAME&tls=yes&ca=FILE&sasl=MECHANISM]';

const PARTS = /^kafka:\/\/(?:([^@/]+)@)?([^/?@]+)\/([\w.-]{1,249})(?:\?(.*))?$/;
const BROKER = /^(?:\[[\da-f:]+\]|[\w.-]+):(\d{1,5})$/i;
const PORT_MAX = 65_535;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;
const PARAMETERS = ['partitions', 'replicas', 'min_isr', 'group', 'tls', 'ca', 'sasl'];

/**
 * @param login `user:password` for an address that names none.
 * @throws AppError `bad_setting` with what is wrong; a password is never repeated.
 */
export function readKafkaAddress(address: string, setting: string, login: string): KafkaAddress {
  const wrong = (why: string): AppError =>
    new AppError('bad_setting', `${setting} cannot be used: ${why}. It takes ${KAFKA_ADDRESS}.`, {
      field: setting,
    });
  const parts = PARTS.exec(address);
  // What stands somewhere in an address may be of a password, so hosts are not repeated either.
  const encode = 'special characters of user and password are percent-encoded';
  if (parts === null) throw wrong(`it is no address of Kafka, in which ${encode}`);
  const [, named, hosts = '', topic = '', query = ''] = parts;
  const brokers = hosts.split(',');
  const strange = brokers.findIndex((broker) => {
    const port = Number(BROKER.exec(broker)?.[1] ?? 0);
    return port < 1 || port > PORT_MAX;
  });
  if (strange !== -1)
    throw wrong(`broker ${strange + 1} of ${brokers.length} is not host:port, and ${encode}`);
  const parameters = new URLSearchParams(query);
  const unknown = [...parameters.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined)
    throw wrong(query.includes('@') ? encode : `"${unknown}" is not a parameter`);
  const group = parameters.get('group') ?? 'clickstream';
  if (group === '') throw wrong('"group" is empty');

  const count = (name: string, max: number): number | undefined => {
    const text = parameters.get(name);
    if (text === null) return undefined;
    if (!/^[1-9]\d*$/.test(text) || Number(text) > max)
      throw wrong(`"${name}" is a number from 1 to ${max}`);
    return Number(text);
  };
  const isTls = parameters.get('tls') ?? 'no';
  if (!['yes', 'no'].includes(isTls)) throw wrong('"tls" is yes or no');
  const ca = parameters.get('ca');
  if (ca !== null && isTls === 'no') throw wrong('"ca" needs tls=yes');

  const mechanism = MECHANISMS.find((known) => known === (parameters.get('sasl') ?? 'PLAIN'));
  if (mechanism === undefined) throw wrong(`"sasl" is one of ${MECHANISMS.join(', ')}`);
  const pair = named === undefined ? pairOf(login) : pairOf(named)?.map((text) => decode(text));
  if (pair === undefined && parameters.has('sasl')) throw wrong('"sasl" needs user and password');
  const [username = '', password = ''] = pair ?? [];
  if (pair !== undefined && (username === '' || password === ''))
    throw wrong('a login is user:password, and neither is empty');
  return {
    brokers,
    topic,
    group,
    partitions: count('partitions', 1_000),
    replicas: count('replicas', 100),
    minIsr: count('min_isr', 100) ?? 1,
    tls: isTls === 'no' ? undefined : ca === null ? {} : { ca: readCertificates(ca, wrong) },
    sasl: pair === undefined ? undefined : { mechanism, username, password },
  };

  function decode(text: string): string {
    try {
      return decodeURIComponent(text);
    } catch {
      throw wrong(encode);
    }
  }
}

/** The user ends at the first colon; undefined where there is nothing at all. */
function pairOf(login: string): [user: string, password: string] | undefined {
  if (login === '') return undefined;
  const [user = '', ...rest] = login.split(':');
  return [user, rest.join(':')];
}

function readCertificates(path: string, wrong: (why: string) => AppError): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw wrong(`the file of "ca", "${path}", cannot be read (${code})`);
  }
  // TLS passes over what is none, and then says that it knows nobody who signed.
  const certificates = text.match(CERTIFICATE) ?? [];
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch {
    certificates.length = 0;
  }
  if (certificates.length === 0)
    throw wrong(`the file of "ca", "${path}", is not of certificates in PEM`);
  return text;
}
