/**
 * The few file operations that the log needs, as an argument: the real disk here, a simulated one
 * that tears writes, loses flushes or runs full where faults are tried out.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, unlink } from 'node:fs/promises';
import { tryLock } from 'fs-native-extensions';

export interface DiskFile {
  size(): Promise<number>;
  /** Fills `buffer` from `position` on; answers how many bytes there were. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Writes all of `bytes` or rejects. Not durable before `fdatasync`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  fdatasync(): Promise<void>;
  /** Waits for reads and writes that still run. */
  close(): Promise<void>;
}

/** Failures are rejections with Node's `code`: ENOENT, ENOSPC, EIO and so on. */
export interface Disk {
  /** `create` makes an empty file, or empties the one that is there; the others need one. */
  open(path: string, how: 'read' | 'write' | 'create'): Promise<DiskFile>;
  /** Names of the files in a folder, in any order. */
  list(folder: string): Promise<string[]>;
  /** Replaces `to` in one step. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(folder: string): Promise<void>;
  /** Locks the file `path`, created if need be, for one holder; or says who holds it. */
  lock(path: string): Promise<Lock | { heldBy: string }>;
}

export interface Lock {
  release(): Promise<void>;
}

const FLAGS = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
} as const;

/** Events are private: only the user of the process may read its files. */
const FILE_MODE = 0o600;

export const realDisk: Disk = {
  open: async (path, how) => realFile(await open(path, FLAGS[how], FILE_MODE)),
  list: (folder) => readdir(folder),
  rename,
  remove: unlink,
  async syncFolder(folder) {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async lock(path) {
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, FILE_MODE);
    if (!tryLock(handle.fd)) {
      const heldBy = (await handle.readFile('latin1')).trim();
      await handle.close();
      return { heldBy };
    }
    await handle.truncate();
    await handle.write(`${process.pid}\n`, 0);
    return { release: () => handle.close() };
  },
};

function realFile(handle: FileHandle): DiskFile {
  return {
    size: async () => (await handle.stat()).size,
    async read(buffer, position) {
      let filled = 0;
      while (filled < buffer.length) {
        const left = buffer.length - filled;
        const { bytesRead } = await handle.read(buffer, filled, left, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    },
    async write(bytes, position) {
      let written = 0;
      while (written < bytes.length) {
        const left = bytes.length - written;
        written += (await handle.write(bytes, written, left, position + written)).bytesWritten;
      }
    },
    fdatasync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
