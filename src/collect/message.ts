/**
 * One message of a source → its records. A message is what the body of a request may be. One that
 * cannot be read as a whole is refused as one event, with what is left of it: nobody waits for an
 * answer who could send it again.
 */
import { AppError } from '../base/errors.ts';
import { PAYLOAD_BYTES_MAX, type Rejection } from '../event/rejection.ts';
import { unpack } from './body.ts';
import { SOURCE_LIMITS } from './limits.ts';
import { receive, refuse, type Taken } from './record.ts';
import { BadLine } from './split.ts';
import type { Step } from './step.ts';

export interface Message {
  bytes: Uint8Array;
  /** When it was received, whenever it is read. */
  receivedAtMs: number;
  /** Its place: events that have no id are named after it, so that a repeat has the same name. */
  name: string;
}

/** Longest character of UTF-8, and what a cut through it may leave of it. */
const CHARACTER_BYTES_MAX = 4;

/** Empty for a list without events. */
export function takeMessage(
  { bytes, receivedAtMs, name }: Message,
  projectId: string,
  steps: readonly Step[],
): Taken[] {
  const packed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = (rejection: Rejection): Taken[] => {
    const text = packed.toString('utf8', 0, PAYLOAD_BYTES_MAX + CHARACTER_BYTES_MAX);
    const receipt = { project_id: projectId, received_at: receivedAtMs };
    return [refuse(new BadLine(text), rejection, receipt, `${name}/0`)];
  };
  const read = unpackMessage(packed);
  if ('reason' in read) return whole(read);
  // Whoever wrote it to the topic is no visitor.
  const sender = { projectId, receivedAtMs, address: '', userAgent: '', fromPage: false };
  try {
    const limits = SOURCE_LIMITS;
    const { inputs, take } = receive(read.body, undefined, sender, { steps, limits });
    return inputs.map((input, index) => take(input, `${name}/${index}`));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return whole(rejectionOf(error));
  }
}

function unpackMessage(packed: Buffer): { body: Buffer } | Rejection {
  if (packed.length > SOURCE_LIMITS.unpackedBytesMax) return { reason: 'too_large', field: '' };
  try {
    return { body: unpack(packed, undefined, SOURCE_LIMITS) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // It begins like gzip and is not.
    return { reason: error.code === 'too_large' ? 'too_large' : 'not_json', field: '' };
  }
}

/** What a request would be answered, in the words of a refused event. */
function rejectionOf({ code, field }: AppError): Rejection {
  if (code === 'too_large') return { reason: 'too_large', field: '' };
  if (code === 'not_json') return { reason: 'not_json', field: '' };
  return field === undefined ? { reason: 'too_deep', field: '' } : { reason: 'bad_format', field };
}
