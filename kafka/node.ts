/**
 * One node of Kafka as a process of its own: started until it serves, stopped in order, killed or
 * frozen as roughly as the caller likes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { KafkaError, nodeEnvironment } from './java.ts';
import type { Role } from './properties.ts';

export interface KafkaNode {
  readonly id: number;
  readonly role: Role;
  /** Undefined while it does not run. */
  readonly pid: number | undefined;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL when that takes long; resolves when it is gone. */
  stop(): Promise<void>;
  /** Resolves when it serves again. @throws KafkaError when it ends before. */
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

export interface Jvm {
  readonly program: string;
  /** The folder of Kafka's jars. */
  readonly libs: string;
  readonly options: readonly string[];
  /** What stands before the command; see `untilWeDie`. */
  readonly guard: readonly string[];
}

const LOGGING = pathToFileURL(join(import.meta.dirname, 'log4j2.xml')).href;

/** Serial collector and first compiler only: the smallest JVM, and the soonest ready. */
const OPTIONS = [
  '-Xms32m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:MaxDirectMemorySize=128m',
  '-XX:-UsePerfData',
  '-XX:+ExitOnOutOfMemoryError',
  // A thread would keep a direct buffer as large as the largest message it ever saw.
  '-Djdk.nio.maxCachedBufferSize=262144',
  '-Djava.net.preferIPv4Stack=true',
  `-Dlog4j2.configurationFile=${LOGGING}`,
];

const START_MS_MAX = 90_000;
const STOP_MS_MAX = 15_000;
const POLL_MS = 25;
const SERVES = 'Kafka Server started';

/**
 * @param folder of the node: `server.properties` and the formatted `data` are in it
 * @param onDeath called with one sentence when it ends by itself after it has served
 */
export function createNode(
  { id, role, name }: { id: number; role: Role; name: string },
  folder: string,
  { program, libs, options, guard }: Jvm,
  onDeath: (sentence: string) => void,
): KafkaNode {
  const heap = role === 'controller' ? '-Xmx128m' : '-Xmx256m';
  const java = [program, ...OPTIONS, heap, ...options, '-cp', join(libs, '*'), 'kafka.Kafka'];
  const [command = program, ...parameters] = [...guard, ...java, 'server.properties'];
  const logs = join(folder, 'logs');
  const log = join(logs, 'kafka.log');
  const output = join(logs, 'output.log');
  let child: ChildProcess | undefined;
  let ended: Promise<string> = Promise.resolve('');
  let isMeant = false;

  async function start(): Promise<void> {
    if (child !== undefined) return;
    await mkdir(logs, { recursive: true });
    const logBytes = (await stat(log).catch(() => undefined))?.size ?? 0;
    const file = await open(output, 'w');
    // In a session of its own: a Ctrl-C in the terminal would reach all nodes at once, and brokers
    // hang in their orderly stop when the controllers go first.
    const started = spawn(command, parameters, {
      cwd: folder,
      env: nodeEnvironment(),
      stdio: ['ignore', file.fd, file.fd],
      detached: true,
    });
    child = started;
    isMeant = false;
    let isServing = false;
    const killNow = () => started.kill('SIGKILL');
    if (guard.length === 0) process.once('exit', killNow);
    ended = once(started, 'exit').then(
      ([code, signal]) => (signal === null ? `with the exit code ${code}` : `by ${signal}`),
      (error: Error) => `before it ran: ${error.message}`,
    );
    void ended.then((how) => {
      child = undefined;
      process.off('exit', killNow);
      if (isServing && !isMeant) onDeath(`${name} ended by itself ${how}; its logs are in ${logs}`);
    });
    await file.close();
    const until = performance.now() + START_MS_MAX;
    while (!(await readFile(output, 'utf8')).includes(SERVES)) {
      const how = await Promise.race([ended, delay(POLL_MS)]);
      if (how !== undefined) throw new KafkaError(await whyItEnded(how, logBytes));
      if (performance.now() < until) continue;
      await end('SIGKILL');
      throw new KafkaError(
        `${name} did not serve within ${START_MS_MAX / 1000} s; its logs are in ${logs}`,
      );
    }
    isServing = true;
  }

  /** @param from where the log ended before this start */
  async function whyItEnded(how: string, from: number): Promise<string> {
    const written = await readFile(log).catch(() => Buffer.alloc(0));
    const error = written
      .toString('utf8', from)
      .split('\n')
      .findLast((line) => / (ERROR|FATAL) /.test(line))
      ?.replace(/^\S+ \w+ /, '')
      .slice(0, 300);
    const said = error === undefined || isMeant ? '' : ` (${error})`;
    return `${name} ended while it started, ${how}${said}; its logs are in ${logs}`;
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child === undefined) return;
    isMeant = true;
    child.kill(signal);
    // A frozen process takes no other signal than SIGKILL.
    child.kill('SIGCONT');
    const waiting = new AbortController();
    const late = delay(STOP_MS_MAX, true, { signal: waiting.signal }).catch(() => false);
    const isLate = (await Promise.race([ended, late])) === true;
    waiting.abort();
    if (!isLate) return;
    child?.kill('SIGKILL');
    await ended;
  }

  return {
    id,
    role,
    get pid() {
      return child?.pid;
    },
    start,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
  };
}
