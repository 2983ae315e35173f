/**
 * One run: senders, a process that dies in many ways and is started again, and a judge at the end.
 * Its seed decides everything, so the same seed gives the same run.
 */
import { AppError } from '../../src/base/errors.ts';
import type { Log } from '../../src/log/log.ts';
import { createDisk, type SimulatedDisk, type Surroundings } from './disk.ts';
import { FOLDER, type Incarnation, startIncarnation } from './incarnation.ts';
import { type FinalLog, judge } from './judge.ts';
import { createPlan, heal, type Plan } from './plan.ts';
import { createRandom } from './random.ts';
import { createActor, createScheduler } from './scheduler.ts';
import { type Ledger, startSender } from './sender.ts';
import { createStore, type StoredRow } from './store.ts';

export interface Outcome {
  seed: number;
  /** What went wrong; empty when nothing did. */
  wrong: string[];
  /** How often each fault was met. */
  hits: Map<string, number>;
  steps: number;
  records: number;
}

/** More than any run needs; one that goes on is stuck. */
const STEPS_MAX = 60_000;

export async function simulate(seed: number, onLine?: (line: string) => void): Promise<Outcome> {
  const plan = createPlan(seed);
  const { faults } = plan;
  // Not the numbers that made the plan.
  const random = createRandom(seed ^ 0x5bd1e995);
  const scheduler = createScheduler(plan.startMs);
  const world = createActor('world');
  const hits = new Map<string, number>();
  const around: Surroundings = {
    scheduler,
    random,
    faults,
    hit: (fault) => hits.set(fault, (hits.get(fault) ?? 0) + 1),
    trace: (line) => onLine?.(`${scheduler.steps} ${scheduler.nowMs.toFixed(1)} ${line()}`),
  };
  const { hit, trace } = around;
  trace(() => JSON.stringify(plan));

  const ledger: Ledger = { sent: new Set(), acknowledged: [] };
  const store = createStore(around, earlierRows(plan));
  const wrong: string[] = [];
  let disk: SimulatedDisk = createDisk(around);
  let lives = 0;
  let zombie: Incarnation | undefined;
  /** The one that runs now has begun to write, so that another can take over from it. */
  let isAtWork = false;
  /** The next one will be started. */
  let isDown = false;
  let isRefused = false;
  let current = begin();

  function begin(): Incarnation {
    lives += 1;
    isAtWork = false;
    isDown = false;
    trace(() => `world: process p${lives} starts`);
    return startIncarnation(`p${lives}`, around, plan, { disk, store, onEnd });
  }

  function startSoon(): void {
    isDown = true;
    scheduler.after(random.between(0, 200), world, () => {
      current = begin();
    });
  }

  function bury(incarnation: Incarnation): void {
    scheduler.kill(incarnation.actor);
    store.clientEnds(incarnation.actor);
  }

  function onEnd(incarnation: Incarnation, fault: unknown): void {
    if (incarnation.actor.isDead) return;
    trace(() => `world: ${incarnation.actor.name} ends: ${fault ?? 'in order'}`);
    bury(incarnation);
    const code = fault instanceof Error && 'code' in fault ? String(fault.code) : '';
    if (incarnation === zombie) {
      if (code === 'taken_over') hit('zombie refused by the fence');
      else if (describe(fault).includes('older copy')) hit('zombie refused, for its log is older');
      else if (fault !== undefined && !isExpected(code) && !isDamage(fault))
        wrong.push(`the zombie ended with ${describe(fault)}`);
      zombie = undefined;
      return;
    }
    if (fault === undefined) hit('stopped in order');
    else if (isExpected(code)) hit(`ended by itself: ${code}`);
    else refuse(fault);
    disk.processEnds();
    startSoon();
  }

  /** A loud end is right where the disk has rotted or lied, and nowhere else. */
  function isDamage(fault: unknown): boolean {
    const isDamaged = hits.has('bit flipped') || hits.has('lost fdatasync');
    return isDamaged && fault instanceof AppError && fault.code === 'log_corrupt';
  }

  function refuse(fault: unknown): void {
    if (isDamage(fault)) {
      hit('damage refused');
      isRefused = true;
    } else wrong.push(`the process ended with ${describe(fault)}`);
  }

  function crash(what: Plan['crashes'][number]['what']): void {
    if (isDown) return;
    if (what === 'orderly stop') {
      current.stop();
      return;
    }
    if (what === 'freeze' && isAtWork && zombie === undefined) {
      hit('process frozen, and another one started on a copy of its folder');
      trace(() => `world: ${current.actor.name} freezes`);
      scheduler.freeze(current.actor);
      zombie = current;
      disk = disk.copy();
    } else if (what === 'power failure') {
      hit('power failure');
      trace(() => `world: power failure`);
      bury(current);
      disk.powerFails();
      store.restart();
    } else {
      hit('process killed');
      trace(() => `world: ${current.actor.name} is killed`);
      bury(current);
      disk.processEnds();
    }
    if (current.log === undefined) hit('crash during recovery');
    startSoon();
  }

  store.onOwner = (actor, is) => {
    if (actor === current.actor && is === 'at work') isAtWork = true;
    if (zombie?.actor.missed === undefined || actor === zombie.actor) return;
    const { actor: waking } = zombie;
    scheduler.after(random.next() * 50, world, () => scheduler.thaw(waking));
  };

  function trouble(): void {
    if (random.chance(faults.diskFull)) {
      disk.isFull = true;
      scheduler.after(random.between(10, 3_000), world, () => {
        disk.isFull = false;
      });
    }
    if (random.chance(faults.storeRestart)) store.restart();
    if (random.chance(faults.clockJump)) {
      hit('clock jumped');
      scheduler.wallMs += random.pick([-1, 1]) * random.pick([7, 300, 20_000, 100_000_000]);
    }
    if (random.chance(faults.bitFlip) && disk.flip(sealedSegments)) hit('bit flipped');
  }

  const senders = Array.from({ length: plan.senders }, (_, i) =>
    startSender(`s${i}`, around, plan, { ledger, front: () => current }),
  );

  async function go(until: () => boolean, each: () => void = () => undefined): Promise<void> {
    while (wrong.length === 0 && !isRefused && !until()) {
      if (!(await scheduler.step())) wrong.push('nothing is left to do, and it is not done');
      if (scheduler.steps > STEPS_MAX) wrong.push(`not done after ${STEPS_MAX} steps`);
      each();
    }
  }

  const isProcessed = (): boolean => {
    const { log } = current;
    if (log === undefined || isDown || senders.some((sender) => !sender.isDone())) return false;
    const { ends, committed } = log.statsNow();
    return ends.every((end, partition) => end === committed[partition]);
  };

  const crashes = [...plan.crashes];
  let nextCrash = crashes.shift();
  let crashedAt = 0;
  await go(
    () => nextCrash === undefined && isProcessed(),
    () => {
      trouble();
      if (nextCrash === undefined || scheduler.steps < crashedAt + nextCrash.afterSteps) return;
      crash(nextCrash.what);
      crashedAt = scheduler.steps;
      nextCrash = crashes.shift();
    },
  );
  heal(faults);
  disk.isFull = false;
  await go(isProcessed);
  const stopped = current;
  stopped.stop();
  await go(() => stopped !== current && isProcessed());
  let logs: FinalLog[] | undefined;
  const { log } = current;
  if (log !== undefined && !isRefused && wrong.length === 0) {
    let isRead = false;
    readAll(log).then((read) => {
      logs = read;
      isRead = true;
    }, refuse);
    await go(() => isRead);
  }
  if (wrong.length === 0) {
    const mayLoseAcknowledged =
      hits.has('lost fdatasync') || (isRefused && hits.has('bit flipped'));
    // The numbers of earlier logs come first; the one under test may not have got one.
    const logId = earlierRows(plan).length > 0 ? 2 : 1;
    const { windowMs } = plan.window;
    wrong.push(...judge({ ledger, rows: store.rows, logId, logs, windowMs, mayLoseAcknowledged }));
  }
  bury(current);
  if (zombie !== undefined) bury(zombie);
  return { seed, wrong, hits, steps: scheduler.steps, records: store.rows.length };

  /** Full segments, behind which another one has begun. */
  function sealedSegments(names: string[]): string[] {
    const begun = names
      .filter((name) => name.endsWith('.segment'))
      .filter((name) => disk.peek(name)?.subarray(0, 7).toString('latin1') === 'clicklg')
      .sort();
    const partitionOf = (name: string | undefined) => name?.slice(FOLDER.length + 1).split('-')[0];
    return begun.filter((name, i) => partitionOf(begun[i + 1]) === partitionOf(name));
  }
}

/** Ends that the faults of a run explain; the process is started again. */
function isExpected(code: string): boolean {
  return ['log_failed', 'log_full', 'EIO', 'ENOSPC'].includes(code);
}

function describe(fault: unknown): string {
  if (fault instanceof AppError) return `${fault.code}: ${fault.message}`;
  return fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
}

async function readAll(log: Log): Promise<FinalLog[]> {
  const { ends, committed } = await log.stats();
  const logs: FinalLog[] = [];
  for (const [partition, end] of ends.entries()) {
    const texts = new Map<number, string>();
    const limits = { recordsMax: 1_000, bytesMax: 1e6, waitMs: 0 };
    for (let next = 0; next < end; ) {
      try {
        for (const record of await log.read(partition, next, limits)) {
          texts.set(record.offset, Buffer.from(record.bytes).toString());
          next = record.offset + 1;
        }
      } catch (error) {
        // Retention deletes the first ones while they are read.
        if (!(error instanceof AppError) || error.code !== 'log_gone') throw error;
        next = await log.offsetSince(partition, Number.NEGATIVE_INFINITY);
      }
    }
    logs.push({ texts, end, committed: committed[partition] ?? 0 });
  }
  return logs;
}

function earlierRows(plan: Plan): StoredRow[] {
  return Array.from({ length: plan.earlierIds }, (_, i) => ({
    outcome: 'stored',
    project_id: 'shop',
    event_id: `r${i + 1}`,
    received_ms: plan.startMs - i * 100,
    log_id: 1,
    log_partition: 0,
    log_offset: i,
    reason: '',
    payload: '',
  }));
}
