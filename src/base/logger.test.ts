/** What is written of an error, read from the standard error of a process. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const LOGS = `
  import { createLogger } from '${import.meta.resolve('./logger.ts')}';
  const cause = new Error('connection refused');
  const err = new Error('The log does not answer: connection refused.', { cause });
  createLogger('info').warn({ err }, 'spooling');
`;

test('an error is written with its message once, and with its cause below it', () => {
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', LOGS]);
  const { msg, err } = JSON.parse(stderr.toString());
  assert.equal(msg, 'spooling');
  assert.equal(err.message, 'The log does not answer: connection refused.');
  assert.equal(err.cause.message, 'connection refused');
  assert.match(err.cause.stack, /connection refused\n +at /);
});
