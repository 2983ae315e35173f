/**
 * What a full disk does to merges. ClickHouse commits the part of a merge whose last small files
 * could not be written (seen in 26.7: the marks are empty): it cannot be read, and its sources, which
 * hold the same rows, are deleted after eight minutes (`old_parts_lifetime`). A start looks at every
 * part, puts broken ones aside and takes their sources again. So an engine that meets a full disk, or
 * a part that it cannot read, ends itself in time; while there is no room it does not come up, and
 * nothing is deleted.
 */
import type { EngineError } from './errors.ts';

const NOT_ENOUGH_SPACE = 243;
const CORRUPTED_DATA = 246;
/** Between two starts for this reason: often enough for the sources, and no more than a hiccup. */
const UP_MS_MIN = 15_000;

/** Calls `end`, once, some time after an error that a start may put right. */
export function createDiskWatch(end: () => void): (error: EngineError) => void {
  let isDue = false;
  return ({ code }) => {
    if (isDue || (code !== NOT_ENOUGH_SPACE && code !== CORRUPTED_DATA)) return;
    isDue = true;
    setTimeout(end, Math.max(0, UP_MS_MIN - performance.now())).unref();
  };
}
