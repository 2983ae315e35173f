/**
 * One data folder through its list of kills: senders that go on all the time, a system that is
 * started again after each kill, then an orderly stop, a start, and the judge.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, removeFolder, temporaryFolder } from '../system.ts';
import { accessOf, faultOf, judge, readProgress, storeFolderOf, type Verdict } from './judge.ts';
import { describe, type Folder, type Planned } from './kill-list.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { type Life, startLife } from './life.ts';
import { KEYS, startSender } from './sender.ts';
import type { Kill } from './trigger.ts';

export interface Outcome {
  kill: Planned;
  /** False when its instant did not come. */
  isHit: boolean;
  /** From the kill to the answer of the first request that was sent after it. */
  firstMs?: number;
  /** From the kill until all that was on the log at the first answer is stored. */
  caughtUpMs?: number;
}

export interface FolderResult {
  folder: Folder;
  outcomes: Outcome[];
  verdict: Verdict;
  /** What the judge found wrong, and where the folder is, which is then kept. */
  fault: string | undefined;
}

/** How long an instant is waited for; one that does not come is no failure of the system. */
const INSTANT_MS_MAX = 6_000;
/** A system that is not back by then does not recover. */
const RECOVERY_MS_MAX = 40_000;
const LOOK_AGAIN_MS = 15;
const SENDERS = 4;

/** @throws Error when the system did not come back, with the place of the folder, which is kept. */
export async function runFolder(
  folder: Folder,
  say: (line: string) => void,
): Promise<FolderResult> {
  const data = await temporaryFolder(`crash-${folder.number}`);
  const port = String(await freePort());
  const enginePort = String(await freePort());
  const urls = { url: `http://127.0.0.1:${port}`, engineUrl: `http://127.0.0.1:${enginePort}` };
  const run = new Run(folder, data, { port, enginePort, url: urls.url }, say);
  const keptIn = `folder ${folder.number}, kept in ${data}:`;
  try {
    await run.allKills();
    const store = accessOf(urls.engineUrl, storeFolderOf(data));
    const verdict = await judge({ url: urls.url, store, ledger: run.ledger });
    const wrong = faultOf(verdict);
    await run.end();
    if (wrong === undefined) await removeFolder(data);
    const fault = wrong === undefined ? undefined : `${keptIn}\n${wrong}`;
    return { folder, outcomes: run.outcomes, verdict, fault };
  } catch (error) {
    run.giveUp();
    const what = error instanceof Error ? error.message : String(error);
    throw new Error(`${keptIn}\n${what}\n${run.output()}`, { cause: error });
  }
}

interface Address {
  port: string;
  enginePort: string;
  url: string;
}

class Run {
  readonly outcomes: Outcome[] = [];
  readonly ledger: Ledger = createLedger();
  readonly #folder: Folder;
  readonly #url: string;
  readonly #environment: Record<string, string>;
  readonly #senders;
  readonly #say: (line: string) => void;
  #life: Life;
  /** A kill that is armed, or due, while the present life starts. */
  #pending: Planned | undefined;
  #recovered: Promise<void> = Promise.resolve();
  #unmeasured = new AbortController();

  constructor(folder: Folder, data: string, address: Address, say: (line: string) => void) {
    const { url, port, enginePort } = address;
    this.#folder = folder;
    this.#url = url;
    this.#say = say;
    this.#environment = {
      CLICKSTREAM_DATA: data,
      CLICKSTREAM_PORT: port,
      CLICKSTREAM_ENGINE_PORT: enginePort,
      CLICKSTREAM_LOG: `file:log?partitions=${folder.partitions}`,
      // Small, so that segments begin and end under the kills.
      CLICKSTREAM_LOG_SEGMENT_MB: '1',
      CLICKSTREAM_KEYS: Object.entries(KEYS)
        .map(([project, key]) => `${project}:${key}`)
        .join(),
      CLICKSTREAM_LOG_LEVEL: 'warn',
    };
    this.#life = this.#start(folder.kills[0]);
    this.#recovered = this.#measure(undefined);
    this.#senders = Array.from({ length: SENDERS }, (_, i) =>
      startSender({
        urls: [url],
        name: `s${i}`,
        project: Object.keys(KEYS)[i % 2] ?? '',
        seed: folder.seed + i,
        ledger: this.ledger,
      }),
    );
  }

  async allKills(): Promise<void> {
    const { kills } = this.#folder;
    for (const [i, kill] of kills.entries()) {
      if (isInStart(kill) && this.#pending !== kill) await this.#underLoad(RESTART, kill);
      const isHit = await (isInStart(kill)
        ? this.#inStart(kill, kills[i + 1])
        : this.#underLoad(kill, kills[i + 1]));
      this.#say(`${isHit ? '' : 'did not come: '}${describe(kill)}`);
    }
    await this.#untilRecovered();
    await Promise.all(this.#senders.map((sender) => sender.stop()));
    await this.#stop();
    this.#life = this.#start(undefined);
    await this.#orEnds(this.#life.ready);
  }

  async end(): Promise<void> {
    await this.#stop();
  }

  async #stop(): Promise<void> {
    const code = await this.#life.stop();
    if (code !== 0) throw new Error(`an orderly stop ended with ${code}`);
  }

  giveUp(): void {
    for (const sender of this.#senders) sender.giveUp();
    this.#unmeasured.abort();
    this.#life.killMain();
  }

  output(): string {
    return this.#life.output();
  }

  #start(next: Planned | undefined): Life {
    this.#pending = next !== undefined && isInStart(next) ? next : undefined;
    return startLife(this.#environment, toKill(this.#pending));
  }

  /** A kill while the life starts, which was begun for it. */
  async #inStart(kill: Planned, next: Planned | undefined): Promise<boolean> {
    const life = this.#life;
    this.#pending = undefined;
    if (kill.what !== 'instant') {
      await this.#orEnds(sleep(kill.afterMs));
      return this.#strike(kill, next, () =>
        kill.what === 'both' ? life.killBoth() : life.killMain(),
      );
    }
    // What is open of the last life is finished while the system serves already.
    const tooLate = life.ready.then(() => sleep(INSTANT_MS_MAX, undefined, { ref: false }));
    return this.#awaitInstant(kill, next, tooLate);
  }

  async #underLoad(kill: Planned, next: Planned | undefined): Promise<boolean> {
    await this.#untilRecovered();
    const life = this.#life;
    if (kill.what === 'instant') {
      life.arm(toKill(kill));
      return this.#awaitInstant(kill, next, sleep(INSTANT_MS_MAX, undefined, { ref: false }));
    }
    if (kill.what === 'engine' && kill.when === 'while it starts') await life.killEngine();
    await this.#orEnds(sleep(kill.afterMs));
    return this.#strike(kill, next, () => {
      if (kill.what === 'engine') return life.killEngine();
      return kill.what === 'both' ? life.killBoth() : life.killMain();
    });
  }

  async #awaitInstant(
    kill: Planned & { what: 'instant' },
    next: Planned | undefined,
    tooLate: Promise<void>,
  ): Promise<boolean> {
    const life = this.#life;
    const wanted = toKill(kill);
    if (wanted === undefined) return false;
    const said = life.said(wanted).then(() => true);
    const isHit = await this.#orEnds(Promise.race([said, tooLate.then(() => false)]), said);
    if (isHit) return this.#strike(kill, next, () => undefined);
    life.arm(undefined);
    this.outcomes.push({ kill, isHit: false });
    return false;
  }

  /** The kill itself, or what follows one that has happened; a dead main is started again. */
  async #strike(
    kill: Planned,
    next: Planned | undefined,
    strike: () => Promise<void> | void,
  ): Promise<boolean> {
    await strike();
    const endsMain =
      kill.what === 'instant' ? kill.instant.target === 'main' : kill.what !== 'engine';
    if (endsMain) await this.#life.exited;
    const outcome: Outcome = { kill, isHit: true };
    this.outcomes.push(outcome);
    this.#unmeasured.abort();
    this.#unmeasured = new AbortController();
    this.#recovered = this.#measure(outcome);
    if (endsMain) this.#life = this.#start(next);
    return true;
  }

  /** Resolves when the system is back; its times go into `outcome`, unless another kill comes. */
  async #measure(outcome: Outcome | undefined): Promise<void> {
    const { signal } = this.#unmeasured;
    const killedAt = performance.now();
    await Promise.race([this.ledger.nextAcknowledged(), aborted(signal)]);
    if (signal.aborted) return;
    if (outcome !== undefined) outcome.firstMs = performance.now() - killedAt;
    let ends: number[] | undefined;
    while (!signal.aborted) {
      const progress = await readProgress(this.#url);
      ends ??= progress?.ends;
      if (signal.aborted) return;
      const isBack = (end: number, i: number): boolean => (progress?.committed[i] ?? -1) >= end;
      if (ends?.every(isBack)) break;
      await sleep(LOOK_AGAIN_MS);
    }
    if (outcome !== undefined && !signal.aborted) outcome.caughtUpMs = performance.now() - killedAt;
  }

  async #untilRecovered(): Promise<void> {
    const late = sleep(RECOVERY_MS_MAX, 'late', { ref: false });
    const won = await this.#orEnds(Promise.race([this.#recovered, late]));
    if (won === 'late') throw new Error(`it has not recovered in ${RECOVERY_MS_MAX} ms`);
    // Its own check of itself is behind it as well.
    await this.#orEnds(this.#life.ready);
  }

  /** @throws Error when the process ends by itself before `work`; `allowed` may have ended it. */
  async #orEnds<T>(work: Promise<T>, allowed?: Promise<unknown>): Promise<T> {
    const ended = this.#life.exited.then(async ({ code, signal }) => {
      const isAllowed = await Promise.race([allowed?.then(() => true), Promise.resolve(false)]);
      if (isAllowed) return work;
      throw new Error(`the system ended by itself with ${code ?? signal}`);
    });
    return Promise.race([work, ended]);
  }
}

/** What is done when a kill wants a start and the system runs. */
const RESTART: Planned = { what: 'main', when: 'under load', afterMs: 0 };

/** Whether the kill wants a life that has just begun. */
function isInStart(kill: Planned): boolean {
  if (kill.what === 'instant') return kill.instant.phase !== 'load';
  return kill.what !== 'engine' && kill.when === 'while it starts';
}

function toKill(kill: Planned | undefined): Kill | undefined {
  if (kill?.what !== 'instant') return undefined;
  const { nth, afterMs, instant } = kill;
  return { instant: instant.name, nth, target: instant.target, afterMs };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
