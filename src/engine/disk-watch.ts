/**
 * What a full disk does to the engine. chDB 3.4 takes no notice of a write to a file that failed
 * (`WriteBufferFromFileDescriptor` counts it and goes on, where ClickHouse throws): the part of an
 * INSERT or of a merge becomes visible with files that are empty or cut. Often it can even be read,
 * because what is missing on disk is still in memory. The next start looks at the files of every
 * part and puts such a part aside; the sources of a merge, which are kept for eight minutes
 * (`old_parts_lifetime`), are taken again.
 *
 * So a process with a failed write confirms no statement that changes anything, and ends itself in
 * time. Who was not answered asks the next process, which has only whole parts: before a look at what
 * is stored the inserts of before are ended, and that is such a statement as well. While there is no
 * room the engine does not come up, and nothing is deleted.
 */
import type { Session } from 'chdb';
import { EngineError } from './errors.ts';
import { textOf } from './sessions.ts';

const NOT_ENOUGH_SPACE = 243;
const CORRUPTED_DATA = 246;
/** Between two starts for this reason: often enough for the sources, and no more than a hiccup. */
const UP_MS_MIN = 15_000;

/** Of this process since its start, merges included; no row while there is none. */
const FAILED_WRITES =
  "SELECT value FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'";

/** @throws EngineError 243 when a write of this process has failed: nothing of it is sure. */
export async function confirmWrites(session: Session): Promise<void> {
  const failed = Number(await textOf(session, FAILED_WRITES));
  if (failed === 0) return;
  throw new EngineError(
    NOT_ENOUGH_SPACE,
    `${failed} writes to the disk have failed, so that it is not known what is stored; the engine starts again and looks. (NOT_ENOUGH_SPACE)`,
  );
}

/** Calls `end`, once, some time after an error that a start may put right. */
export function createDiskWatch(end: () => void): (error: EngineError) => void {
  let isDue = false;
  return ({ code }) => {
    if (isDue || (code !== NOT_ENOUGH_SPACE && code !== CORRUPTED_DATA)) return;
    isDue = true;
    setTimeout(end, Math.max(0, UP_MS_MIN - performance.now())).unref();
  };
}
