/**
 * Plain bytes → the events of a request, still unchecked: one JSON object, an array, an envelope
 * `{"events": […], "sent_at": …}`, or one JSON object a line.
 */
import { isUtf8 } from 'node:buffer';
import { AppError } from '../base/errors.ts';
import type { BodyLimits } from './limits.ts';

/** A line that is not JSON, in its place among the others. */
export class BadLine {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export interface Inputs {
  /** Values of JSON, or `BadLine`. */
  events: unknown[];
  /** The envelope's, as it stands there. */
  sentAt: unknown;
  /** The text holds a `\u` escape. */
  escaped: boolean;
}

/**
 * @throws AppError `not_json`, `too_large` (more events than are taken), `bad_request` (depth).
 */
export function splitBody(
  body: Buffer,
  contentType: string | undefined,
  limits: BodyLimits,
): Inputs {
  if (!isUtf8(body)) throw new AppError('not_json', 'The body is not valid UTF-8.');
  if (body.length > limits.depthFreeBytes && depthOf(body, limits.depthMax) > limits.depthMax) {
    throw new AppError('bad_request', `The body is nested deeper than ${limits.depthMax} levels.`);
  }
  const hasMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const text = body.toString('utf8', hasMark ? 3 : 0);
  const escaped = text.includes('\\u');
  if (/(?:ndjson|jsonl|json-?lines)/i.test(contentType ?? '')) {
    return { events: splitLines(text, limits), sentAt: undefined, escaped };
  }
  const value = parseJson(text);
  if (value === undefined) {
    if (!beginsWithObjectLine(text)) throw new AppError('not_json', 'The body is not JSON.');
    return { events: splitLines(text, limits), sentAt: undefined, escaped };
  }
  const envelope = value as { events?: unknown; event_name?: unknown; sent_at?: unknown } | null;
  if (Array.isArray(value)) return { events: bounded(value, limits), sentAt: undefined, escaped };
  if (Array.isArray(envelope?.events) && envelope.event_name === undefined) {
    return { events: bounded(envelope.events, limits), sentAt: envelope.sent_at, escaped };
  }
  return { events: [value], sentAt: undefined, escaped };
}

/** The value of a JSON text, undefined when it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function beginsWithObjectLine(text: string): boolean {
  const start = text.search(/\S/);
  const end = text.indexOf('\n', start);
  const first = start < 0 || end < 0 ? undefined : parseJson(text.slice(start, end));
  return typeof first === 'object' && first !== null;
}

function splitLines(text: string, limits: BodyLimits): unknown[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return bounded(lines, limits).map((line) => {
    const value = parseJson(line);
    return value === undefined ? new BadLine(line) : value;
  });
}

function bounded<T>(events: T[], limits: BodyLimits): T[] {
  if (events.length > limits.eventsMax) {
    throw new AppError('too_large', `A request takes ${limits.eventsMax} events at most.`);
  }
  return events;
}

/** How deep brackets are nested outside of texts; counting ends above `enough`. */
function depthOf(json: Buffer, enough: number): number {
  let depth = 0;
  let deepest = 0;
  let inText = false;
  for (let i = 0; i < json.length && deepest <= enough; i++) {
    const byte = json[i];
    if (inText) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inText = false;
    } else if (byte === 0x22) inText = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return deepest;
}
