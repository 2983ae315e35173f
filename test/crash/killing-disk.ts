/**
 * The real disk under the log, with a named instant before and after each operation that changes
 * something, and in the middle of each write.
 */
import { basename } from 'node:path';
import { type Disk, type DiskFile, realDisk } from '../../src/log/disk.ts';
import type { Trigger } from './trigger.ts';

/** Where the note of a commit begins, and its offset stands (src/log/commit-file.ts). */
const NOTE_AT = 32;
const OFFSET_AT = 16;
const SLOTS_BYTES = 2 * 8192;

/** `opening` until the log is open: the same operations mend there what they write later. */
export interface DiskStage {
  opening: boolean;
}

export function createKillingDisk(trigger: Trigger, stage: DiskStage): Disk {
  async function around<T>(what: string, work: () => Promise<T>): Promise<T> {
    trigger.at(`before ${what}`);
    const done = await work();
    trigger.at(`after ${what}`);
    return done;
  }

  function killingFile(path: string, file: DiskFile): DiskFile {
    let last = kindOf(path);
    return {
      ...file,
      async write(bytes, position) {
        last = whatIs(path, bytes);
        if (last === 'records' && stage.opening) last = 'mended records';
        const half = trigger.isDue(`half write ${last}`);
        if (half !== undefined) {
          await file.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), position);
          trigger.kill(half);
        }
        await around(`write ${last}`, () => file.write(bytes, position));
      },
      fdatasync: () => around(`fdatasync ${last}`, () => file.fdatasync()),
    };
  }

  return {
    ...realDisk,
    async open(path, how) {
      const open = () => realDisk.open(path, how);
      const file = await (how === 'create' ? around(`create ${kindOf(path)}`, open) : open());
      return killingFile(path, file);
    },
    rename: (from, to) => around(`rename ${kindOf(from)}`, () => realDisk.rename(from, to)),
    remove: (path) => around(`remove ${kindOf(path)}`, () => realDisk.remove(path)),
    syncFolder: (folder) => around('sync folder', () => realDisk.syncFolder(folder)),
    lock: (path) => around('lock', () => realDisk.lock(path)),
  };
}

function kindOf(path: string): string {
  if (path.endsWith('.segment')) return 'segment';
  if (path.endsWith('.commit')) return 'commit file';
  return basename(path) === 'lock' ? 'lock' : 'identity';
}

/** What is being written, read off the bytes. */
function whatIs(path: string, bytes: Uint8Array): string {
  const kind = kindOf(path);
  const isZeros = bytes.subarray(0, NOTE_AT).every((byte) => byte === 0);
  if (kind === 'segment') return isZeros ? 'zeros' : 'records';
  // Both slots at once are what an opener writes again.
  if (kind !== 'commit file' || isZeros || bytes.length >= SLOTS_BYTES) return kind;
  const slot = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const note = slot.toString('utf8', NOTE_AT);
  const { to } = (note === '' ? { to: 0 } : JSON.parse(note)) as { to: number };
  return to > slot.readDoubleLE(OFFSET_AT) ? 'intent' : 'commit';
}
