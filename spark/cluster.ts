/**
 * A real Spark on this machine, for `npm run spark`, tests and benches: a master, workers and the
 * job, each a process of its own, and the executors that the workers start. It ends with the process
 * that started it.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findJava } from '../java/java.ts';
import type { Progress } from '../local/cache.ts';
import { type Child, createChild, residentBytesOf, untilWeDie } from '../local/child.ts';
import { ProgramError } from '../local/error.ts';
import { freeBase, refuseTakenPorts } from '../local/ports.ts';
import { realDisk } from '../src/log/disk.ts';
import { findTools, prepareSpark } from './jars.ts';
import {
  archived,
  command,
  environment,
  jobProperties,
  type Ports,
  portCounts,
  portsFrom,
  propertiesText,
  type Size,
  sharedProperties,
} from './properties.ts';

export interface SparkCluster {
  readonly master: Child;
  readonly workers: readonly Child[];
  /** The job's own process. Started again, the job is submitted again. */
  readonly driver: Child;
  readonly ports: Ports;
  /** Process ids of the executors that run now, also of those whose worker is gone. */
  executors(): Promise<number[]>;
  /** Resident memory of all JVMs. */
  residentBytes(): Promise<number>;
  /** Stops in order: the job after the batch it is in, then workers and master. */
  stop(): Promise<void>;
  /** Kills all of it, executors too; resolves when they are gone. */
  close(): Promise<void>;
}

export interface SparkOptions extends Partial<Size> {
  /** Where logs and scratch files lie; nothing in it is needed by a later start. */
  folder: string;
  /** The job's settings, CLICKSTREAM_…; only its own process has them. */
  environment: Readonly<Record<string, string>>;
  /** Two when left out. */
  workers?: number;
  /** The first of the ports of master and workers; free ones when it is left out. */
  port?: number;
  /** The first of the ports of the web pages of master, workers and job; free ones when left out. */
  uiPort?: number;
  /** The job comes to an end by itself, so the start does not wait for it to be ready. */
  isOnce?: boolean;
  /** Called with what goes on, a line at a time; also when a process ends by itself. */
  progress?: Progress;
}

const DAEMON_HEAP_MB = 256;
const START_MS_MAX = 180_000;
const DAEMON_STOP_MS_MAX = 10_000;
/** The job ends its batch, which may wait for a store that restarts. */
const JOB_STOP_MS_MAX = 30_000;
const POLL_MS = 25;
const READY = 'clickstream: ready';
const PACKAGE = 'org.apache.spark.deploy';

/** One line why Spark cannot run here; undefined when it can. */
export async function whyNoSpark(): Promise<string | undefined> {
  try {
    await findJava('Spark');
    await findTools();
    return undefined;
  } catch (error) {
    if (error instanceof ProgramError) return error.message;
    throw error;
  }
}

/** Resolves when the job is ready. @throws ProgramError in one sentence when that cannot be. */
export async function startSpark(options: SparkOptions): Promise<SparkCluster> {
  const { workers: count = 2, progress = () => undefined } = options;
  const size: Size = {
    executorMemoryMb: options.executorMemoryMb ?? 512,
    driverMemoryMb: options.driverMemoryMb ?? 512,
    coresPerWorker: options.coresPerWorker ?? 1,
  };
  const java = await findJava('Spark');
  const guard = await untilWeDie();
  const ports = await findPorts(options, count);
  const spark = await prepareSpark(java, guard, progress);

  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const folder = await realpath(options.folder);
  const lock = await realDisk.lock(join(folder, 'lock'));
  if ('heldBy' in lock)
    throw new ProgramError(`${folder} is in use by process ${lock.heldBy}; choose another folder`);
  const temporary = join(folder, 'tmp');
  const shared = sharedProperties(randomBytes(24).toString('hex'), join(folder, 'recovery'));
  const settings = join(folder, 'spark.properties');
  const jobSettings = join(folder, 'job.properties');
  const masterUrl = `spark://127.0.0.1:${ports.master}`;
  const daemon = (name: string, serves: string, host: string, main: readonly string[]) =>
    createChild({
      name,
      folder: join(folder, name),
      command: command(java.program, spark.home, temporary, DAEMON_HEAP_MB, archived(spark), [
        ...main,
        ...['--host', host, '--properties-file', settings],
      ]),
      guard,
      environment: {
        ...environment(spark.home, temporary),
        // What a worker puts at the end of the class path of its executors.
        SPARK_DIST_CLASSPATH: spark.job,
      },
      log: 'spark.log',
      serves,
      startMsMax: START_MS_MAX,
      stopMsMax: DAEMON_STOP_MS_MAX,
      onDeath: progress,
    });
  const master = daemon('master', 'I have been elected leader', '127.0.0.1', [
    ...[`${PACKAGE}.master.Master`, '--port', `${ports.master}`],
    ...['--webui-port', `${ports.masterUi}`],
  ]);
  const workers = ports.workers.map((port, i) => {
    const name = `worker-${i + 1}`;
    return daemon(name, 'Successfully registered with master', hostOf(i), [
      ...[`${PACKAGE}.worker.Worker`, masterUrl, '--port', `${port}`],
      ...['--webui-port', `${ports.workerUis[i]}`, '--work-dir', join(folder, name, 'work')],
      ...['--cores', `${size.coresPerWorker}`, '--memory', `${size.executorMemoryMb}m`],
    ]);
  });
  const driver = createChild({
    name: 'job',
    folder: join(folder, 'job'),
    command: command(
      java.program,
      spark.home,
      temporary,
      size.driverMemoryMb,
      archived(spark),
      [
        ...[`${PACKAGE}.SparkSubmit`, '--properties-file', jobSettings],
        // The jar is on the class path of driver and executors: nothing to copy to them.
        ...['--class', 'clickstream.Job', 'spark-internal'],
      ],
      [spark.job],
    ),
    guard,
    environment: {
      ...environment(spark.home, temporary),
      ...options.environment,
      CLICKSTREAM_SPARK_SCRATCH: join(folder, 'scratch'),
    },
    log: 'spark.log',
    serves: options.isOnce ? undefined : READY,
    startMsMax: START_MS_MAX,
    stopMsMax: JOB_STOP_MS_MAX,
    onDeath: progress,
  });

  const executors = () =>
    processesIn(workers.map((_, i) => join(folder, `worker-${i + 1}`, 'work')));
  const close = async () => {
    await Promise.all([master, ...workers, driver].map((jvm) => jvm.kill()));
    // They would end by themselves a little later, but for one that is frozen.
    for (let left = await executors(); left.length > 0; left = await executors()) {
      left.forEach(killNow);
      await delay(POLL_MS);
    }
    await lock.release();
  };
  try {
    // What a start that was killed has left behind; logs stay until then.
    for (const name of await readdir(folder))
      if (name !== 'lock') await rm(join(folder, name), { recursive: true });
    for (const name of ['tmp', 'scratch', 'recovery']) await mkdir(join(folder, name));
    const write = (path: string, properties: Record<string, string>) =>
      writeFile(path, propertiesText(properties), { mode: 0o600 });
    await write(settings, shared);
    await write(jobSettings, { ...shared, ...jobProperties(spark, ports, size, temporary) });
    progress(`starting a master, ${count} ${count === 1 ? 'worker' : 'workers'} and the job`);
    await master.start();
    await Promise.all([...workers, driver].map((jvm) => jvm.start()));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    master,
    workers,
    driver,
    ports,
    executors,
    async residentBytes() {
      const pids = [master, ...workers, driver].map(({ pid }) => pid);
      const sizes = await Promise.all([...pids, ...(await executors())].map(residentBytesOf));
      return sizes.reduce((sum, bytes) => sum + bytes, 0);
    },
    async stop() {
      await driver.stop();
      await Promise.all(workers.map((worker) => worker.stop()));
      await master.stop();
      await close();
    },
    close,
  };
}

/**
 * Of each worker: Spark tries a task that hangs beside it on another host only. Linux takes all of
 * 127 for this machine; elsewhere such a task waits until its executor is given up.
 */
function hostOf(worker: number): string {
  return process.platform === 'linux' ? `127.0.0.${worker + 1}` : '127.0.0.1';
}

async function findPorts({ port, uiPort }: SparkOptions, workers: number): Promise<Ports> {
  const { rpc, ui } = portCounts(workers);
  const base = await freeBase(rpc + ui);
  const ports = portsFrom(port ?? base, uiPort ?? base + rpc, workers);
  await refuseTakenPorts([ports.master, ...ports.workers], 'Spark', '--port');
  const uis = [ports.masterUi, ...ports.workerUis, ports.jobUi];
  await refuseTakenPorts(uis, 'Spark', '--ui-port');
  return ports;
}

/** Ids of the processes that run in one of these folders; none where there is no /proc. */
async function processesIn(folders: readonly string[]): Promise<number[]> {
  const names = await readdir('/proc').catch(() => []);
  const found = await Promise.all(
    names.map(async (name) => {
      if (!/^\d+$/.test(name)) return [];
      const path = await readlink(`/proc/${name}/cwd`).catch(() => '');
      return folders.some((folder) => path.startsWith(`${folder}/`)) ? [Number(name)] : [];
    }),
  );
  return found.flat();
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It has just ended.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
