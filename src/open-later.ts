/**
 * A log that others share and that did not answer when it was to be opened: a collector with a spool
 * begins without it. `stats` tries again to open it, and until then everything else is refused at
 * once, because who asks does not have to wait to know.
 */
import { check } from './base/check.ts';
import { AppError } from './base/errors.ts';
import type { Log } from './log/log.ts';
import { isUnreachable } from './log/spool.ts';

/**
 * @param open Rejects with `log_unreachable` while the log does not answer.
 * @param onFatal Called with what else it rejects with: at the start it would have ended the process.
 */
export function openLater(open: () => Promise<Log>, onFatal: (error: Error) => void): Log {
  let log: Log | undefined;
  let opening: Promise<Log> | undefined;
  let isClosed = false;

  function opened(): Log {
    if (log !== undefined) return log;
    if (isClosed) throw new AppError('stopping', 'The log is closed.');
    throw new AppError('log_unreachable', 'The log has not answered since the start.');
  }

  async function tryToOpen(): Promise<Log> {
    try {
      log = await open();
      if (isClosed) await log.close();
      return log;
    } catch (error) {
      if (!isUnreachable(error)) onFatal(error as Error);
      throw error;
    } finally {
      opening = undefined;
    }
  }

  function known(): Log {
    check(log !== undefined, 'only a collector begins without its log');
    return log;
  }

  return {
    get id() {
      return known().id;
    },
    get partitions() {
      return known().partitions;
    },
    isExclusive: false,
    append: async (...of) => opened().append(...of),
    read: async (...of) => opened().read(...of),
    own: async (...of) => opened().own(...of),
    commit: async (...of) => opened().commit(...of),
    committed: async (...of) => opened().committed(...of),
    offsetSince: async (...of) => opened().offsetSince(...of),
    async stats() {
      if (log === undefined && !isClosed) {
        opening ??= tryToOpen();
        await opening;
      }
      return opened().stats();
    },
    async close() {
      isClosed = true;
      await opening?.catch(() => undefined);
      await log?.close();
    },
  };
}
