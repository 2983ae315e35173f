/**
 * `npm run spark`: a real Spark on this machine whose job is the processor, until Ctrl-C; or for some
 * time of history, until that is done.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Child } from '../local/child.ts';
import { endWith, readCommandLine } from '../local/command.ts';
import { ProgramError } from '../local/error.ts';
import { readConfig } from '../src/config.ts';
import { type SparkCluster, startSpark } from './cluster.ts';
import { jobEnvironment } from './environment.ts';
import { readHistory } from './history.ts';
import { SPARK_VERSION } from './jars.ts';
import { portCounts } from './properties.ts';

const WORKERS_MAX = 16;
const SAY_EVERY_MS = 500;

const HELP = `A real Spark ${SPARK_VERSION} on this machine, reachable from it alone, that takes events from the log on
Kafka into the store. It needs a JDK of Java 17 or later and, the first time, Maven.

  npm run spark                          a master, two workers and the job, until Ctrl-C
  npm run spark -- --history FROM TO     the job works through that time again, and ends

  --workers <number>   each with one executor (2)
  --port <number>      the first of the ports of master and workers (7077)
  --ui-port <number>   the first of the ports of their web pages and the job's (18080)
  --data <folder>      where logs and scratch files lie (./data/spark)
  --help               this text

It takes the place of the TypeScript processor, so the rest of the system runs without that role:

  npm run kafka
  export CLICKSTREAM_LOG=kafka://127.0.0.1:9092,127.0.0.1:9093/clickstream
  CLICKSTREAM_ROLES=collect,query npm run clickstream
  npm run spark                          in another shell, with the same settings

Without CLICKSTREAM_STORE the store is the embedded engine of that system. CLICKSTREAM_SPARK_… are
settings of Spark; docs/configuration.md has them all.
`;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function print(text: string): void {
  process.stdout.write(text);
}

async function main(): Promise<void> {
  // Logs and scratch files can hold what records hold: they are for this user.
  process.umask(0o077);
  const { workers, port, uiPort, data, history, help } = readParameters();
  if (help) return print(HELP);
  const config = readConfig(process.env);
  const job = await jobEnvironment(config, process.env);
  if (history !== undefined)
    job.environment.CLICKSTREAM_SPARK_HISTORY = `${history.fromMs},${history.toMs}`;

  let spark: SparkCluster | undefined;
  let isStopping = false;
  const stop = async (code: number): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    print('  stopping in order\n');
    // Before it runs there is nothing to stop in order: all end with this process.
    await spark?.stop();
    process.exit(code);
  };
  const look = (): void => {
    if (spark === undefined || isStopping) return;
    const isAnyWorker = spark.workers.some(({ pid }) => pid !== undefined);
    // For history the job ends by itself.
    if (isAnyWorker && (spark.driver.pid !== undefined || history !== undefined)) return;
    process.stderr.write('spark: nothing is processed any more\n');
    void stop(1);
  };
  for (const signal of SIGNALS) process.on(signal, () => void stop(0));
  // Whoever read the output may be gone; the job still wants to be stopped in order.
  process.stdout.on('error', () => undefined);

  spark = await startSpark({
    folder: data,
    environment: job.environment,
    workers,
    port,
    uiPort,
    executorMemoryMb: config.CLICKSTREAM_SPARK_EXECUTOR_MB,
    driverMemoryMb: config.CLICKSTREAM_SPARK_DRIVER_MB,
    coresPerWorker: config.CLICKSTREAM_SPARK_CORES,
    isOnce: history !== undefined,
    progress: (text) => {
      print(`  ${text}\n`);
      look();
    },
  });
  look();
  if (isStopping) return;
  const { ports } = spark;
  const url = (of: number) => `http://127.0.0.1:${of}`;
  print(`
  Spark ${SPARK_VERSION} is running

  reads       ${job.reads}
  writes      ${job.writes}
  web pages   ${url(ports.masterUi)} (master), ${ports.workerUis.map(url).join(', ')} (workers),
              ${url(ports.jobUi)} (job)
  logs        ${data}
  stop        Ctrl-C

`);
  if (history === undefined) return;
  await stop((await printed(spark.driver)) ?? 1);
}

/** Prints what the job says while it works; resolves with its exit code. */
async function printed(driver: Child): Promise<number | null> {
  let length = 0;
  const more = async (): Promise<void> => {
    const said = await driver.output();
    print(said.slice(length));
    length = said.length;
  };
  const end = driver.ended().then(() => true);
  while (!(await Promise.race([end, delay(SAY_EVERY_MS, false)]))) await more();
  await more();
  return driver.ended();
}

/** @throws ProgramError that says what is wrong. */
function readParameters() {
  const { values, positionals } = readCommandLine('spark', {
    allowPositionals: true,
    options: {
      workers: { type: 'string', default: '2' },
      port: { type: 'string', default: '7077' },
      'ui-port': { type: 'string', default: '18080' },
      data: { type: 'string', default: './data/spark' },
      history: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { data, help, history: from } = values;
  const workers = readNumber('--workers', values.workers, 1, WORKERS_MAX);
  const { rpc, ui } = portCounts(workers);
  const port = readNumber('--port', values.port, 1, 65_536 - rpc);
  const uiPort = readNumber('--ui-port', values['ui-port'], 1, 65_536 - ui);
  if (data === '') throw new ProgramError('--data is empty; it takes a folder.');
  const [to, ...rest] = positionals;
  if ((from === undefined) !== (to === undefined) || rest.length > 0)
    throw new ProgramError(
      from === undefined
        ? `"${to}" is not a parameter; --help lists what there is.`
        : '--history takes two times: --history FROM TO.',
    );
  const history = from === undefined || to === undefined ? undefined : readHistory(from, to);
  return { workers, port, uiPort, data, help, history };
}

function readNumber(name: string, text: string, min: number, max: number): number {
  if (!/^\d+$/.test(text) || Number(text) < min || Number(text) > max)
    throw new ProgramError(`${name} is "${text}"; it takes a number from ${min} to ${max}.`);
  return Number(text);
}

main().catch((error: unknown) => endWith('spark', error));
