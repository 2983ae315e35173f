/**
 * Simulated time: what happens later stands in a queue, and one thing happens after the other.
 * Between two of them the event loop turns once, so that the code under test goes on until it waits
 * for the queue again (its own `setImmediate` may take one more turn; that is one more order).
 */
import type { Clock } from '../../src/base/clock.ts';

/** Whoever waits for what is in the queue: a process, or the store. */
export interface Actor {
  readonly name: string;
  /** Nothing that it waits for happens any more. */
  isDead: boolean;
  /** What would have happened to it while it was frozen; undefined while it is not. */
  missed: Job[] | undefined;
}

export function createActor(name: string): Actor {
  return { name, isDead: false, missed: undefined };
}

export interface Job {
  atMs: number;
  order: number;
  actor: Actor;
  work: () => void;
  /** What is left of it when its actor dies before. */
  onDeath: (() => void) | undefined;
  isOver: boolean;
}

export interface Scheduler {
  /** Since the begin of the run. */
  readonly nowMs: number;
  readonly steps: number;
  /** Added to the clock that processes read; changes when that clock jumps. */
  wallMs: number;
  /** Does `work` after a time; answers how to call it off. */
  after(delayMs: number, actor: Actor, work: () => void, onDeath?: () => void): () => void;
  clockOf(actor: Actor): Clock;
  kill(actor: Actor): void;
  freeze(actor: Actor): void;
  thaw(actor: Actor): void;
  /** One thing happens; false when nothing is left. */
  step(): Promise<boolean>;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function createScheduler(startMs: number): Scheduler {
  const queue: Job[] = [];
  let nowMs = 0;
  let steps = 0;
  let order = 0;

  const isBefore = (a: Job, b: Job): boolean =>
    a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

  function push(job: Job): void {
    let at = queue.length;
    queue.push(job);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = queue[parentAt];
      if (parent === undefined || !isBefore(job, parent)) break;
      queue[at] = parent;
      at = parentAt;
    }
    queue[at] = job;
  }

  function pop(): Job | undefined {
    const [first] = queue;
    const last = queue.pop();
    if (first === undefined || last === undefined || queue.length === 0) return first;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      const [left, right] = [queue[childAt], queue[childAt + 1]];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) childAt += 1;
      const child = queue[childAt];
      if (child === undefined || !isBefore(child, last)) break;
      queue[at] = child;
      at = childAt;
    }
    queue[at] = last;
    return first;
  }

  const scheduler: Scheduler = {
    get nowMs() {
      return nowMs;
    },
    get steps() {
      return steps;
    },
    wallMs: startMs,
    after(delayMs, actor, work, onDeath) {
      if (actor.isDead) return () => undefined;
      const job = { atMs: nowMs + delayMs, order: order++, actor, work, onDeath, isOver: false };
      push(job);
      return () => {
        job.isOver = true;
      };
    },
    clockOf(actor) {
      return {
        now: () => Math.floor(scheduler.wallMs + nowMs),
        elapsed: () => nowMs,
        sleep(ms, signal) {
          const { promise, resolve } = Promise.withResolvers<void>();
          if (signal?.aborted) resolve();
          else {
            const over = scheduler.after(Math.max(0, ms), actor, resolve);
            signal?.addEventListener('abort', () => {
              over();
              resolve();
            });
          }
          return promise;
        },
      };
    },
    kill(actor) {
      actor.isDead = true;
      for (const job of [...queue, ...(actor.missed ?? [])]) {
        if (job.actor !== actor || job.isOver) continue;
        job.isOver = true;
        job.onDeath?.();
      }
      actor.missed = undefined;
    },
    freeze(actor) {
      actor.missed = [];
    },
    thaw(actor) {
      const { missed = [] } = actor;
      actor.missed = undefined;
      for (const job of missed) {
        job.atMs = nowMs;
        push(job);
      }
    },
    async step() {
      for (;;) {
        const job = pop();
        if (job === undefined) {
          await turn();
          await turn();
          if (queue.length === 0) return false;
          continue;
        }
        if (job.isOver) continue;
        if (job.actor.missed !== undefined) {
          job.actor.missed.push(job);
          continue;
        }
        nowMs = Math.max(nowMs, job.atMs);
        steps += 1;
        job.isOver = true;
        job.work();
        await turn();
        return true;
      }
    },
  };
  return scheduler;
}
