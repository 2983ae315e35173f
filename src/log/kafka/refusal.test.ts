/** What no later try could mend, told apart from what brokers say while they come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AuthenticationError,
  MultipleErrors,
  NetworkError,
  ResponseError,
} from '@platformatic/kafka';
import { isCutOff, whyHopeless } from './refusal.ts';

const SASL_HANDSHAKE = 17;
const UNSUPPORTED_SASL_MECHANISM = 33;

/** As the client wraps what ends a connection to the only broker. */
function failed(cause: Error): Error {
  const connection = new NetworkError('Connection to h:1 failed.', { cause });
  return new MultipleErrors('Cannot connect to any broker.', [connection]);
}

test('brokers with other mechanisms are named with them', () => {
  const said: Record<string, [number, null]> = { '/': [UNSUPPORTED_SASL_MECHANISM, null] };
  const answer = { mechanisms: ['SCRAM-SHA-512', 'GSSAPI'] };
  const cause = new ResponseError(SASL_HANDSHAKE, 1, said, answer);
  const error = failed(
    new AuthenticationError('Cannot find a suitable SASL mechanism.', { cause }),
  );
  assert.equal(
    whyHopeless('t', error),
    'The brokers of t take another mechanism: set "sasl" to one of theirs, SCRAM-SHA-512, GSSAPI.',
  );
});

test('a broker that cannot prove that it knows the password is one to stop at', () => {
  const error = failed(new AuthenticationError('Invalid server signature.'));
  assert.equal(
    whyHopeless('t', error),
    'The brokers of t fail in the login: Invalid server signature.',
  );
});

test('a broker that ends during a login is tried again', () => {
  const cause = new NetworkError('Connection closed');
  const error = failed(
    new AuthenticationError('Cannot find a suitable SASL mechanism.', { cause }),
  );
  assert.equal(whyHopeless('t', error), undefined);
  assert.ok(isCutOff(error));
});
