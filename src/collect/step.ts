/** What a step of the collector is: the shape that every file of steps/ has. */
import type { Draft } from '../event/parse.ts';
import type { Rejection } from '../event/rejection.ts';

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
