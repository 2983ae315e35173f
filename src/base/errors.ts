/**
 * Errors with a documented code. Everything a person or a program can meet has its line in `CODES`;
 * docs/errors.md is printed from it. Broken invariants are not here: they `check()` and crash.
 */

/** code → HTTP status (0: never answered over HTTP) and what it means for the reader. */
export const CODES = {
  // requests
  bad_request: [400, 'The request cannot be read; the message says what and where.'],
  not_json: [400, 'The body is not JSON, or not valid UTF-8.'],
  all_rejected: [
    400,
    'Every event of the request was refused; `rejected` says why, each by itself.',
  ],
  unauthorized: [401, 'The write key, or user and password, is missing or not known.'],
  forbidden_host: [403, 'The Host header names another address than this server listens on.'],
  not_found: [404, 'There is nothing at this address; the message names what was not found.'],
  method_not_allowed: [405, 'This address takes another method; the Allow header says which.'],
  timeout: [408, 'The request took too long to arrive.'],
  too_large: [413, 'The body, or what it unpacks to, is larger than is taken; send less at once.'],
  unsupported_media: [415, 'The content type or encoding is not taken.'],
  too_many_requests: [429, 'Too much at once from this sender; try again after Retry-After.'],
  internal: [500, 'A fault of this server; it is in its log under the same request id.'],
  log_full: [503, 'The log or its disk cannot take more now; try again after Retry-After.'],
  overloaded: [503, 'The collector has as much in hand as it may; try again after Retry-After.'],
  stopping: [503, 'The server is shutting down; try again after Retry-After.'],
  // log
  log_gone: [0, 'The record asked for is older than what the log has kept.'],
  log_corrupt: [0, 'A record in the middle of the log does not match its checksum.'],
  log_failed: [0, 'A write or fsync failed; what is on disk is not known, so the process ends.'],
  log_locked: [0, 'Another process has this log folder open.'],
  log_unreachable: [503, 'The log does not answer; try again after Retry-After.'],
  log_changed: [0, 'The topic is another one by now, or has another number of partitions.'],
  // store
  store_refused: [500, 'The store refused the statement; the message is the store’s own.'],
  store_ambiguous: [0, 'It is not known whether the store has the rows; the processor looks.'],
  store_unreachable: [503, 'The store does not answer; it is started again by itself.'],
  taken_over: [0, 'Another processor writes the partition now; this one adds nothing more.'],
  // start
  bad_setting: [0, 'A setting has a value that is not allowed.'],
  port_in_use: [0, 'Another program listens on this port.'],
  data_in_use: [0, 'Another process uses this data folder.'],
  data_newer: [0, 'The data folder was written by a newer version.'],
  engine_failed: [0, 'The embedded engine did not start.'],
  self_check_failed: [0, 'The event that was sent at start did not come back from the store.'],
  // commands
  collector_failed: [0, 'The collector does not answer a command, or not as it should.'],
} as const satisfies Record<string, readonly [number, string]>;

export type Code = keyof typeof CODES;

export class AppError extends Error {
  readonly code: Code;
  /** The field, setting or parameter to blame, where there is one. */
  readonly field: string | undefined;
  /** Seconds after which a retry makes sense, for 429 and 503. */
  readonly retryAfterS: number | undefined;

  constructor(
    code: Code,
    message: string,
    more: { field?: string; retryAfterS?: number; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'AppError';
    this.code = code;
    this.field = more.field;
    this.retryAfterS = more.retryAfterS;
  }

  get status(): number {
    return CODES[this.code][0] || 500;
  }
}

/** The body of an error answer. */
export function errorBody(error: AppError): string {
  const { code, message, field } = error;
  return JSON.stringify({
    error: field === undefined ? { code, message } : { code, message, field },
  });
}
