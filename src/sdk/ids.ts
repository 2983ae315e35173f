/**
 * Ids made in the browser: milliseconds and random bits in base 36. They sort by time, so they
 * compress well, and are made before the event is sent, so a repeated request is recognised.
 */

const EVENT_BITS = 80;
const SESSION_BITS = 40;
const VISITOR_BITS = 60;

/** 24 characters: 8 of time, 16 of chance. */
export function newEventId(nowMs: number): string {
  return nowMs.toString(36) + randomText(EVENT_BITS);
}

/** Four characters for each 20 bits. */
function randomText(bits: number): string {
  const numbers = crypto.getRandomValues(new Uint32Array(bits / 20));
  return Array.from(numbers, (number) => (number >>> 12).toString(36).padStart(4, '0')).join('');
}

const SESSION_IDLE_MS = 30 * 60_000;
const VISITOR = 'clickstream.visitor';
const SESSION = 'clickstream.session';

/** Who this browser is, for ever, as far as storage is allowed. */
export function visitorId(): string {
  const known = read(VISITOR);
  if (known) return known;
  const made = randomText(VISITOR_BITS);
  write(VISITOR, made);
  return made;
}

/** The visit and the next number in it; a new visit after half an hour without an event. */
export function nextInSession(nowMs: number): { session_id: string; sequence: number } {
  const [id, sequence, lastMs] = (read(SESSION) ?? '').split(' ');
  // Anything else that is stored there, or a clock set back, begins a new visit as well.
  const idleMs = nowMs - Number(lastMs);
  const goesOn = id && Number(sequence) > 0 && idleMs >= 0 && idleMs < SESSION_IDLE_MS;
  const now = goesOn
    ? { session_id: id, sequence: Number(sequence) + 1 }
    : { session_id: nowMs.toString(36) + randomText(SESSION_BITS), sequence: 1 };
  write(SESSION, `${now.session_id} ${now.sequence} ${nowMs}`);
  return now;
}

/** Where storage is forbidden the ids live as long as the page. */
const memory = new Map<string, string>();

function read(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? memory.get(key);
  } catch {
    return memory.get(key);
  }
}

function write(key: string, value: string): void {
  memory.set(key, value);
  try {
    localStorage.setItem(key, value);
  } catch {
    // Kept in memory.
  }
}
