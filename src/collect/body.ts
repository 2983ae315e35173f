/**
 * From the socket to plain bytes: read with a limit, unpack with a limit.
 */
import type { IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { AppError } from '../base/errors.ts';
import type { BodyLimits } from './limits.ts';
import type { Share } from './load.ts';

/**
 * The body as it was sent; its bytes are taken from `share` as they arrive.
 * @throws AppError `too_large`, `timeout` when the sender went away, or what `share` throws.
 */
export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  share: Share,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const stop = (error: AppError) => {
    request.off('data', onData).off('end', onEnd).off('close', onClose);
    reject(error);
  };
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.bodyBytesMax) return stop(tooLarge(limits.bodyBytesMax));
    try {
      share.take(chunk.length);
    } catch (error) {
      return stop(error as AppError);
    }
    chunks.push(chunk);
  };
  const onEnd = () => {
    request.off('close', onClose);
    resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, bytes));
  };
  const onClose = () => stop(new AppError('timeout', 'The request ended before its body did.'));
  // An aborted request emits `error`, then `close`: the latter says all there is to say.
  request.on('error', () => undefined);
  request.on('data', onData).on('end', onEnd).on('close', onClose);
  return promise;
}

/**
 * Reads and drops what is left of a refused body, within limits: a connection closed with unread
 * bytes is reset, and the answer can be lost with it.
 */
export function discardRest(request: IncomingMessage, limits: BodyLimits): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (request.complete || request.destroyed) return Promise.resolve();
  let bytes = 0;
  const timer = setTimeout(resolve, limits.discardMs);
  request.on('error', () => undefined);
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.discardBytesMax) resolve();
  });
  request.on('end', resolve).on('close', resolve);
  request.resume();
  return promise.finally(() => clearTimeout(timer));
}

/**
 * The bytes of a body that may be gzip: by its header, or, as some senders leave that out, by its
 * first two bytes, which no JSON begins with.
 * @throws AppError `unsupported_media`, `too_large`, `bad_request`.
 */
export function unpack(body: Buffer, encoding: string | undefined, limits: BodyLimits): Buffer {
  const named = encoding?.trim().toLowerCase() ?? '';
  const packed = body[0] === 0x1f && body[1] === 0x8b;
  if (!['', 'identity', 'gzip', 'x-gzip'].includes(named)) {
    throw new AppError('unsupported_media', 'Content-Encoding takes gzip or nothing.', {
      field: 'content-encoding',
    });
  }
  // A proxy may have unpacked the body and left the header.
  if (!packed) return body;
  try {
    return gunzipSync(body, { maxOutputLength: limits.unpackedBytesMax });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw tooLarge(limits.unpackedBytesMax);
    }
    throw new AppError('bad_request', 'The body begins like gzip and cannot be unpacked.', {
      cause,
    });
  }
}

function tooLarge(bytesMax: number): AppError {
  return new AppError('too_large', `The body is larger than ${bytesMax} bytes.`);
}
