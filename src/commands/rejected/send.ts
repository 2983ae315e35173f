/**
 * Sends events to the running collector as any program would, and waits when it says so.
 */
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import { BODY_LIMITS, RETRY_AFTER_S } from '../../collect/limits.ts';
import type { Config } from '../../config.ts';
import type { Rejection } from '../../event/rejection.ts';
import { readJson } from './mend.ts';

/** A batch that is refused for the moment is tried so often. */
const TRIES_MAX = 10;
const WAIT_S_MAX = 30;
const ANSWER_MS_MAX = 60_000;

interface Answer {
  accepted: number;
  rejected: Rejection[];
}

export interface Sender {
  /** The write key of a project, if the settings have one. */
  keyOf(project: string): string | undefined;
  /**
   * Sends these events (each a JSON text) in as many requests as it takes, and calls `onAnswer`
   * after each.
   * @throws AppError `collector_failed`; what was answered before stays sent.
   */
  send(key: string, events: readonly string[], onAnswer: (answer: Answer) => void): Promise<void>;
}

export function createSender(config: Config, clock: Clock): Sender {
  const keys = new Map<string, string>();
  for (const [key, project] of config.CLICKSTREAM_KEYS)
    if (!keys.has(project)) keys.set(project, key);
  const url = collectorUrl(config);

  async function post(key: string, body: string): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      const response = await fetch(`${url}/v1/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      }).catch((cause: unknown) => {
        throw new AppError(
          'collector_failed',
          `Nothing answers at ${url} (${whyOf(cause)}): start Clickstream first, with the same settings as this command.`,
          { cause },
        );
      });
      const text = await response.text();
      const answer = readJson(text) as Partial<Answer> | undefined;
      if (answer?.accepted !== undefined && answer.rejected !== undefined)
        return { accepted: answer.accepted, rejected: answer.rejected };
      if ((response.status !== 503 && response.status !== 429) || tries === TRIES_MAX) {
        throw new AppError(
          'collector_failed',
          `The collector at ${url} answered ${response.status} (try ${tries}): ${text.slice(0, 500)}`,
        );
      }
      const wanted = Number(response.headers.get('retry-after') ?? RETRY_AFTER_S);
      await clock.sleep(Math.min(wanted || RETRY_AFTER_S, WAIT_S_MAX) * 1000);
    }
  }

  return {
    keyOf: (project) => keys.get(project),
    async send(key, events, onAnswer) {
      for (const batch of batchesOf(events)) onAnswer(await post(key, `[${batch.join(',')}]`));
    },
  };
}

/** What one request takes. */
function batchesOf(events: readonly string[]): string[][] {
  const batches: string[][] = [];
  let bytes = BODY_LIMITS.bodyBytesMax;
  for (const event of events) {
    // With its comma; the brackets are within the first.
    const more = Buffer.byteLength(event) + 2;
    const isFull = batches.at(-1)?.length === BODY_LIMITS.eventsMax;
    if (isFull || bytes + more > BODY_LIMITS.bodyBytesMax) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(event);
    bytes += more;
  }
  return batches;
}

/** Who listens on every address is reached on the machine's own. */
function collectorUrl({ CLICKSTREAM_HOST: host, CLICKSTREAM_PORT: port }: Config): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (host === '::') return `http://[::1]:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** `fetch` says "fetch failed"; its cause says why. */
function whyOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
