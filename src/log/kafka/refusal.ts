/**
 * What brokers and their certificates say that no later try could mend, as a sentence with what to
 * set. What is said by brokers that come and go as well is not here: a connection that was closed.
 */
import { AuthenticationError } from '@platformatic/kafka';

/** What an error of the client, of a broker or of TLS may hold. */
interface Said extends Error {
  code?: unknown;
  /** Of an error that a broker has named. */
  apiId?: unknown;
  response?: { mechanisms?: unknown };
  /** Of a certificate for other names: the one that was looked for, and those that it has. */
  host?: unknown;
  cert?: { subjectaltname?: unknown };
}

/** The error and all below it. The client's own search leaves causes out, where logins and TLS fail. */
function everyError(error: unknown): Said[] {
  if (!(error instanceof Error)) return [];
  const inside: unknown[] = error instanceof AggregateError ? error.errors : [];
  return [error, ...[error.cause, ...inside].flatMap(everyError)];
}

/** Whether a broker said this, somewhere in the errors of a request. */
export function saidBy(error: unknown, ...names: string[]): boolean {
  return everyError(error).some(({ apiId }) => names.includes(String(apiId)));
}

/** A listener of the other kind, TLS or not, says no more than this; so does a broker that ends. */
export function isCutOff(error: unknown): boolean {
  return everyError(error).some(
    ({ message, code }) => message === 'Connection closed' || code === 'ECONNRESET',
  );
}

/** Whether brokers that were talked to without TLS answered with it. */
export function wantsTls(error: unknown): boolean {
  return everyError(error).some(({ message }) => message === 'Broker requires TLS.');
}

const NOT_SIGNED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
];

/** Rights, and settings of the topic or the group. */
const REFUSED = [
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'UNSUPPORTED_VERSION',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_CONFIG',
  'INVALID_PARTITIONS',
  'POLICY_VIOLATION',
  'INVALID_SESSION_TIMEOUT',
  'OFFSET_METADATA_TOO_LARGE',
];

/** Undefined where a later try can help. */
export function whyHopeless(topic: string, error: unknown): string | undefined {
  for (const said of everyError(error)) {
    const why = sentenceOf(topic, said);
    if (why !== undefined) return why;
  }
  return undefined;
}

function sentenceOf(topic: string, said: Said): string | undefined {
  const brokers = `The brokers of ${topic}`;
  const name = String(said.apiId);
  const code = String(said.code);
  if (REFUSED.includes(name)) return `${brokers} refuse it: ${name}.`;
  if (name === 'SASL_AUTHENTICATION_FAILED')
    return `${brokers} refuse the user or the password: set both as the brokers know them, and "sasl" to the mechanism that they know them for.`;
  if (name === 'ILLEGAL_SASL_STATE')
    return `${brokers} take no login at this port: leave out user and password, or name the port for those who have them.`;
  const mechanisms = said.response?.mechanisms;
  if (Array.isArray(mechanisms) && mechanisms.length > 0)
    return `${brokers} take another mechanism: set "sasl" to one of theirs, ${mechanisms.join(', ')}.`;
  // Without a cause the client itself has looked: who answered does not know the password either.
  if (code === AuthenticationError.code && said.cause === undefined)
    return `${brokers} fail in the login: ${said.message}`;
  if (wantsTls(said)) return `${brokers} speak TLS at this port: set tls=yes.`;
  if (NOT_SIGNED.includes(code))
    return `${brokers} have a certificate that nobody signed who is known here (${code}): set "ca" to a file with the certificate of who did.`;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return `${brokers} have a certificate that is not valid at this time (${code}): give them another one, or set this machine's clock.`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `${brokers} have a certificate for ${said.cert?.subjectaltname}, not for ${said.host}: name them as it does, or give them one with their names in it.`;
  return undefined;
}
