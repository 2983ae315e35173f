/**
 * What the senders know: every event they sent, how often, and how often it was acknowledged. The
 * judge holds it against the store.
 */

export interface SentEvent {
  event_name: string;
  event_id: string;
  session_id: string;
  event_time: string;
  sequence: number;
  [field: string]: string | number;
}

export interface Entry {
  project: string;
  event: SentEvent;
  isValid: boolean;
  /** Copies in requests that were sent, answered or not: no more rows than these. */
  sent: number;
  /** Copies in requests that were answered 202: no fewer rows than these. */
  acknowledged: number;
}

export interface Ledger {
  entries: ReadonlyMap<string, Entry>;
  /** The events that may be repeated: acknowledged ones. */
  acknowledged: readonly Entry[];
  /** What a sender saw that must not be. */
  faults: string[];
  /** Status and Retry-After of answers after which it sent again. */
  refusals: { status: number; retryAfter: string | null }[];
  add(project: string, event: SentEvent, isValid: boolean): Entry;
  onSent(entries: readonly Entry[]): void;
  onAcknowledged(entries: readonly Entry[]): void;
  /** Resolves at the first 202 of a request that is sent from now on. */
  nextAcknowledged(): Promise<void>;
  /** Of `nextAcknowledged`, for the sender: how far it was when its request began. */
  now(): number;
  wake(begunAt: number): void;
}

export function createLedger(): Ledger {
  const entries = new Map<string, Entry>();
  const acknowledged: Entry[] = [];
  let clock = 0;
  let waiting: { since: number; resolve: () => void }[] = [];
  return {
    entries,
    acknowledged,
    faults: [],
    refusals: [],
    add(project, event, isValid) {
      const entry = { project, event, isValid, sent: 0, acknowledged: 0 };
      entries.set(`${project} ${event.event_id}`, entry);
      return entry;
    },
    onSent(batch) {
      for (const entry of batch) entry.sent++;
    },
    onAcknowledged(batch) {
      for (const entry of batch) {
        if (entry.isValid && entry.acknowledged === 0) acknowledged.push(entry);
        entry.acknowledged++;
      }
    },
    nextAcknowledged() {
      const { promise, resolve } = Promise.withResolvers<void>();
      clock++;
      waiting.push({ since: clock, resolve });
      return promise;
    },
    now: () => clock,
    wake(begunAt) {
      for (const { since, resolve } of waiting) if (since <= begunAt) resolve();
      waiting = waiting.filter(({ since }) => since > begunAt);
    },
  };
}
