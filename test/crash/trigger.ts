/**
 * A kill that waits for its instant: the wrapped disk and store ask at each of theirs, and at the
 * n-th of the wanted name the process, or the engine under it, is killed as roughly as can be.
 */
import { writeSync } from 'node:fs';

export interface Kill {
  /** As in instants.ts. */
  instant: string;
  /** Which one of that name, from 1. */
  nth: number;
  target: 'main' | 'engine';
  /** For an instant that lasts: how long after its begin. */
  afterMs: number;
}

/** What a process says on its standard output just before it kills. */
export const KILLING = 'killing at';

export interface Trigger {
  arm(kill: Kill | undefined): void;
  /** Kills when this is the awaited instant. */
  at(instant: string): void;
  /** True when this is the awaited instant, once: the caller prepares it and calls `kill`. */
  isDue(instant: string): Kill | undefined;
  kill(kill: Kill): void;
}

export function createTrigger(enginePid: () => number | undefined): Trigger {
  let armed: Kill | undefined;
  let left = 0;
  const trigger: Trigger = {
    arm(kill) {
      armed = kill;
      left = kill?.nth ?? 0;
    },
    at(instant) {
      const kill = trigger.isDue(instant);
      if (kill !== undefined) trigger.kill(kill);
    },
    isDue(instant) {
      if (armed?.instant !== instant) return undefined;
      left -= 1;
      if (left > 0) return undefined;
      const due = armed;
      armed = undefined;
      return due;
    },
    kill({ instant, target }) {
      const pid = target === 'main' ? process.pid : enginePid();
      if (pid === undefined) return;
      // Written at once: nothing is written any more after the kill.
      writeSync(1, `${KILLING} ${instant}\n`);
      process.kill(pid, 'SIGKILL');
    },
  };
  return trigger;
}
