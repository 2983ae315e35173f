/**
 * Structured logs on standard error: one JSON object a line, or plain lines for a terminal.
 * Never give it a raw request: an IP address must not be written anywhere.
 */
import pino from 'pino';

export type Logger = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: Record<string, unknown>): Logger;
};

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export function createLogger(level: (typeof LOG_LEVELS)[number]): Logger {
  return pino(
    {
      ...{ level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
      // A cause stands below its error: a message that says it already does not say it twice.
      serializers: { err: pino.stdSerializers.errWithCause },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
