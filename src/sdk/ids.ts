/**
 * Ids made in the browser: milliseconds and random bits in base 36. They sort by time, so they
 * compress well, and are made before the event is sent, so a repeated request is recognised.
 */

/** 8 characters of time and 80 random bits: one in 10^24 events of the same millisecond collides. */
export function newId(nowMs: number): string {
  const random = crypto.getRandomValues(new Uint32Array(3));
  const [a = 0, b = 0, c = 0] = random;
  const text = (number: number, chars: number): string => number.toString(36).padStart(chars, '0');
  return nowMs.toString(36) + text(a, 7) + text(b, 7) + text(c % 65_536, 4);
}

const SESSION_IDLE_MS = 30 * 60_000;
const VISITOR = 'clickstream.visitor';
const SESSION = 'clickstream.session';

interface Session {
  id: string;
  /** Counter of the session's events. */
  sequence: number;
  lastMs: number;
}

/** Who this browser is, for ever, as far as storage is allowed. */
export function visitorId(nowMs: number): string {
  const known = read(VISITOR);
  if (known !== undefined) return known;
  const made = newId(nowMs);
  write(VISITOR, made);
  return made;
}

/** The visit and the next number in it; a new visit after half an hour without an event. */
export function nextInSession(nowMs: number): { session_id: string; sequence: number } {
  const session = parse(read(SESSION));
  const goesOn = session !== undefined && nowMs - session.lastMs < SESSION_IDLE_MS;
  const now: Session = goesOn
    ? { id: session.id, sequence: session.sequence + 1, lastMs: nowMs }
    : { id: newId(nowMs), sequence: 1, lastMs: nowMs };
  write(SESSION, JSON.stringify(now));
  return { session_id: now.id, sequence: now.sequence };
}

function parse(text: string | undefined): Session | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Session);
  } catch {
    // Something else wrote there; a new visit begins.
    return undefined;
  }
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
