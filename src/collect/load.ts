/**
 * How much the collector has in hand: requests and bytes of bodies, in all and per address.
 * Memory stays bounded however many send, and one sender cannot take all of it.
 * Addresses live here only while a request of theirs is running.
 */
import { AppError } from '../base/errors.ts';
import { type LoadLimits, RETRY_AFTER_S } from './limits.ts';

export interface Share {
  /**
   * Counts `bytes` more of this request.
   * @throws AppError `too_many_requests` or `overloaded`.
   */
  take(bytes: number): void;
  /** Gives back all of it. */
  release(): void;
}

export interface Load {
  /** @throws AppError `too_many_requests`. */
  enter(address: string): Share;
  bytes(): number;
}

export function createLoad(limits: LoadLimits): Load {
  const addresses = new Map<string, { requests: number; bytes: number }>();
  let bytes = 0;

  function enter(address: string): Share {
    const used = addresses.get(address) ?? { requests: 0, bytes: 0 };
    if (used.requests >= limits.addressRequestsMax) {
      throw tooMany(`more than ${limits.addressRequestsMax} requests at once`);
    }
    addresses.set(address, used);
    used.requests++;
    let mine = 0;
    return {
      take(more) {
        if (used.bytes + more > limits.addressBytesMax) {
          throw tooMany(`more than ${limits.addressBytesMax} bytes at once`);
        }
        if (bytes + more > limits.bytesMax) {
          throw new AppError('overloaded', 'The collector has as much in hand as it may.', {
            retryAfterS: RETRY_AFTER_S,
          });
        }
        mine += more;
        used.bytes += more;
        bytes += more;
      },
      release() {
        used.bytes -= mine;
        bytes -= mine;
        mine = 0;
        if (--used.requests === 0) addresses.delete(address);
      },
    };
  }

  return { enter, bytes: () => bytes };
}

function tooMany(what: string): AppError {
  return new AppError('too_many_requests', `This address sends ${what}.`, {
    retryAfterS: RETRY_AFTER_S,
  });
}
