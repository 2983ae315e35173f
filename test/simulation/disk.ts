/**
 * A disk in memory: a cache that outlives processes and not a power failure, names that are durable
 * only after their folder is, and the faults of real disks.
 */
import type { Disk, DiskFile } from '../../src/log/disk.ts';
import { SEGMENT_HEADER_BYTES } from '../../src/log/format.ts';
import { diskError } from '../../src/log/test-folder.ts';
import { Content } from './content.ts';
import type { Faults } from './plan.ts';
import type { Random } from './random.ts';
import type { Actor, Scheduler } from './scheduler.ts';

export interface Surroundings {
  scheduler: Scheduler;
  random: Random;
  faults: Faults;
  /** Counts a fault that was met and writes it into the trace. */
  hit: (fault: string) => void;
  /** Writes a line of the trace, if anyone reads it. */
  trace: (line: () => string) => void;
}

export interface SimulatedDisk {
  /** There is no room for a while. */
  isFull: boolean;
  /** The disk as one process uses it. */
  mountFor(actor: Actor, slowReads: boolean): Disk;
  powerFails(): void;
  /** The process is gone; what a failed flush left in the cache may be gone with it. */
  processEnds(): void;
  copy(): SimulatedDisk;
  /** Turns a bit of one of these files; false when there is none. */
  flip(choose: (names: string[]) => string[]): boolean;
  /** What a reader of the file sees now. */
  peek(path: string): Buffer | undefined;
}

type Names = Map<string, Content>;

/** Changes of names that belong together and are not durable. */
type Renaming = readonly (readonly [string, Content | undefined])[];

export function createDisk(around: Surroundings, names: Names = new Map()): SimulatedDisk {
  const { scheduler, random, faults, hit } = around;
  const durableNames: Names = new Map(names);
  let waiting: Renaming[] = [];
  let lockedBy: Actor | undefined;

  function change(target: Names, renaming: Renaming): void {
    for (const [name, content] of renaming) {
      if (content === undefined) target.delete(name);
      else target.set(name, content);
    }
  }

  function rename(...renaming: Renaming): void {
    change(names, renaming);
    waiting.push(renaming);
  }

  function contentOf(path: string): Content {
    const content = names.get(path);
    if (content === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
    return content;
  }

  function delay(): number {
    if (random.chance(faults.slowDisk)) {
      hit('slow disk');
      return random.between(50, 3_000);
    }
    return random.next() * 2;
  }

  /** Something that takes its time. When its process dies before, it is done in part, or not. */
  function later<T>(
    actor: Actor,
    what: string,
    work: () => T,
    partly: () => void = () => {
      if (random.chance(0.5)) work();
    },
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        around.trace(() => `${actor.name}: ${what}`);
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      const onDeath = (): void => {
        try {
          partly();
        } catch {
          // Nobody is there to be told.
        }
      };
      scheduler.after(delay(), actor, done, onDeath);
    });
  }

  /** For what takes no time; but a process that is dead or frozen gets no answer. */
  function atOnce<T>(actor: Actor, work: () => T): Promise<T> {
    if (actor.isDead) return new Promise(() => undefined);
    if (actor.missed !== undefined) return later(actor, 'goes on', work, () => undefined);
    return Promise.resolve().then(work);
  }

  function fileOf(actor: Actor, path: string, content: Content, slowReads: boolean): DiskFile {
    const soon = <T>(what: string, work: () => T): Promise<T> =>
      slowReads ? later(actor, what, work, () => undefined) : atOnce(actor, () => work());
    return {
      size: () => soon(`size of ${path}`, () => content.cached.length),
      read: (buffer, position) =>
        soon(`read ${path}`, () => {
          const bytes = content.cached.subarray(position, position + buffer.length);
          buffer.set(bytes);
          return bytes.length;
        }),
      write(bytes, position) {
        const grows = position + bytes.length > content.cached.length;
        const some = (): void =>
          content.write(bytes.subarray(0, random.between(0, bytes.length)), position);
        const work = (): void => {
          if (disk.isFull && grows) {
            hit('disk full');
            some();
            throw diskError('ENOSPC');
          }
          if (random.chance(faults.writeError)) {
            hit('EIO on write');
            some();
            throw diskError('EIO');
          }
          content.write(bytes, position);
        };
        return later(actor, `write ${bytes.length} at ${position} of ${path}`, work, () => {
          if (bytes.length > 0) hit('write cut off by a crash');
          some();
        });
      },
      fdatasync() {
        const begun = content.begun();
        return later(actor, `fdatasync of ${path}`, () => {
          if (random.chance(faults.syncError)) {
            hit('EIO on fdatasync');
            content.lose(begun, random);
            throw diskError('EIO');
          }
          if (random.chance(faults.lostSync)) {
            hit('lost fdatasync');
            content.lose(begun, random);
            return;
          }
          content.flush(begun);
        });
      },
      close: () => soon(`close ${path}`, () => undefined),
    };
  }

  const disk: SimulatedDisk = {
    isFull: false,
    mountFor: (actor, slowReads) => ({
      open(path, how) {
        if (how !== 'create') {
          const open = () => fileOf(actor, path, contentOf(path), slowReads);
          return slowReads
            ? later(actor, `open ${path}`, open, () => undefined)
            : atOnce(actor, open);
        }
        return later(actor, `create ${path}`, () => {
          if (disk.isFull && random.chance(0.5)) {
            hit('disk full');
            throw diskError('ENOSPC');
          }
          const content = new Content();
          rename([path, content]);
          return fileOf(actor, path, content, slowReads);
        });
      },
      list: (folder) =>
        atOnce(actor, () =>
          [...names.keys()]
            .filter((name) => name.startsWith(`${folder}/`))
            .map((name) => name.slice(folder.length + 1)),
        ),
      rename: (from, to) =>
        later(actor, `rename ${from} to ${to}`, () =>
          rename([to, contentOf(from)], [from, undefined]),
        ),
      remove: (path) =>
        later(actor, `remove ${path}`, () => {
          contentOf(path);
          rename([path, undefined]);
        }),
      syncFolder(folder) {
        const begun = new Set(waiting);
        return later(actor, `sync ${folder}`, () => {
          for (const renaming of waiting) if (begun.has(renaming)) change(durableNames, renaming);
          waiting = waiting.filter((renaming) => !begun.has(renaming));
        });
      },
      lock: () =>
        later(actor, 'lock', () => {
          if (lockedBy !== undefined && !lockedBy.isDead) return { heldBy: lockedBy.name };
          lockedBy = actor;
          return {
            release: () =>
              atOnce(actor, () => {
                if (lockedBy === actor) lockedBy = undefined;
              }),
          };
        }),
    }),
    powerFails() {
      for (const renaming of waiting.splice(0)) {
        if (random.chance(0.5)) change(durableNames, renaming);
      }
      names.clear();
      for (const [name, content] of durableNames) {
        content.powerFails(random);
        names.set(name, content);
      }
    },
    processEnds() {
      for (const content of names.values()) if (random.chance(0.5)) content.evict();
    },
    copy() {
      // Whoever still has the old files open goes on with them alone.
      const copies = new Map([...names].map(([name, content]) => [name, content.copy()]));
      return createDisk(around, copies);
    },
    flip(choose) {
      const candidates = choose([...names.keys()]);
      const content = candidates.length === 0 ? undefined : names.get(random.pick(candidates));
      if (content === undefined || content.cached.length === 0) return false;
      // The head of the file is looked at by every start, the rest only by who reads it.
      const end = random.chance(0.5) ? SEGMENT_HEADER_BYTES : content.cached.length;
      content.flip(random.between(0, end - 1), random.between(0, 7));
      return true;
    },
    peek: (path) => names.get(path)?.cached,
  };
  return disk;
}
