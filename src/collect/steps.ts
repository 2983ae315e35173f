/**
 * What the collector puts into every event, in this order. Each step is one file with its test.
 * What the sender has set is never overwritten.
 */
import type { Clock } from '../base/clock.ts';
import type { Draft } from '../event/parse.ts';
import type { Rejection } from '../event/rejection.ts';
import { openSalt } from './salt.ts';
import { correctClock } from './steps/correct-clock.ts';
import { putBot } from './steps/put-bot.ts';
import { putChannel } from './steps/put-channel.ts';
import { putCountry } from './steps/put-country.ts';
import { putDevice } from './steps/put-device.ts';
import { putEventId } from './steps/put-event-id.ts';
import { putUrlParts } from './steps/put-url-parts.ts';
import { putVisitor } from './steps/put-visitor.ts';

/** What only the request knows. Lives as long as the request; the address is written nowhere. */
export interface Arrival {
  projectId: string;
  /** By the collector's clock, when the whole body was there. */
  receivedAtMs: number;
  /** The envelope's, by the sender's clock. */
  sentAtMs: number | undefined;
  address: string;
  userAgent: string;
  /**
   * Sent by a browser's page: it has an Origin, or a browser's user agent. Otherwise a program
   * sends on behalf of others, and address and user agent say nothing about the visitor.
   */
  fromPage: boolean;
}

/** Once a request: what the step needs to know of it. Then once an event; may refuse it. */
export type Step = (arrival: Arrival) => (event: Draft) => Rejection | undefined;

/**
 * The list. Reads the table of countries and the salt of the day.
 * @throws Error when one of the files cannot be read or written.
 */
export function openSteps(options: { clock: Clock; dataFolder: string }): readonly Step[] {
  return [
    correctClock,
    putEventId,
    putDevice(),
    putCountry(),
    putBot(),
    putVisitor(openSalt(options)),
    putUrlParts(),
    putChannel,
  ];
}
