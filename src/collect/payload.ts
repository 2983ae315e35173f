/**
 * What is kept of a refused event: its JSON, cut to a bounded number of bytes.
 */
import { EVENT_LIMITS } from '../event/parse.ts';
import { PAYLOAD_BYTES_MAX } from '../event/rejection.ts';
import { BadLine } from './split.ts';

/** At most `PAYLOAD_BYTES_MAX` bytes of UTF-8, never ending within a character. */
export function payloadOf(input: unknown): string {
  const text = input instanceof BadLine ? input.text : stringify(input);
  const bytes = Buffer.from(text.slice(0, PAYLOAD_BYTES_MAX));
  if (bytes.length <= PAYLOAD_BYTES_MAX) return bytes.toString('utf8');
  let end = PAYLOAD_BYTES_MAX;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

function stringify(input: unknown): string {
  try {
    return JSON.stringify(input);
  } catch (error) {
    // Nested so deep that writing it overflows the stack; the outer levels say enough.
    if (error instanceof RangeError) return JSON.stringify(shallow(input, EVENT_LIMITS.depthMax));
    throw error;
  }
}

function shallow(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (levels === 0) return '…';
  if (Array.isArray(value)) return value.map((element) => shallow(element, levels - 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, shallow(inner, levels - 1)]),
  );
}
