/** The ports of a Spark on this machine, and the settings and commands of its JVMs. */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { jvmEnvironment } from '../java/java.ts';
import type { Spark } from './jars.ts';

export interface Ports {
  readonly master: number;
  readonly workers: readonly number[];
  readonly masterUi: number;
  readonly workerUis: readonly number[];
  readonly jobUi: number;
}

export interface Size {
  readonly executorMemoryMb: number;
  readonly driverMemoryMb: number;
  readonly coresPerWorker: number;
}

/** How many ports so many workers take, with the master and with the job. */
export function portCounts(workers: number): { rpc: number; ui: number } {
  return { rpc: 1 + workers, ui: 2 + workers };
}

/** Each the master's first, then the workers', the job's last. */
export function portsFrom(port: number, uiPort: number, workers: number): Ports {
  const after = (first: number) => Array.from({ length: workers }, (_, i) => first + 1 + i);
  return {
    master: port,
    workers: after(port),
    masterUi: uiPort,
    workerUis: after(uiPort),
    jobUi: uiPort + 1 + workers,
  };
}

const LOGGING = pathToFileURL(join(import.meta.dirname, 'log4j2.xml')).href;

/** Serial collector and first compiler only: the smallest JVMs, and the soonest ready. */
const SMALL = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'];

/** What Spark's own scripts open to it; a worker adds the same to its executors. */
const OPENED = [
  ...['io', 'lang', 'lang.invoke', 'lang.reflect', 'net', 'nio', 'util', 'util.concurrent'].map(
    (name) => `java.base/java.${name}`,
  ),
  'java.base/java.util.concurrent.atomic',
  'java.base/jdk.internal.ref',
  ...['nio.ch', 'nio.cs', 'security.action', 'util.calendar'].map(
    (name) => `java.base/sun.${name}`,
  ),
  'java.security.jgss/sun.security.krb5',
];
const MODULES = [
  // For the last two, which Java 17 does not know yet.
  '-XX:+IgnoreUnrecognizedVMOptions',
  '--add-modules=jdk.incubator.vector',
  ...OPENED.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
  '-Dio.netty.tryReflectionSetAccessible=true',
  '-Dio.netty.allocator.type=pooled',
  '--sun-misc-unsafe-memory-access=allow',
  '--enable-native-access=ALL-UNNAMED',
];

/** @param temporary a folder that is emptied at the next start */
function options(temporary: string): string[] {
  return [
    ...SMALL,
    '-XX:+ExitOnOutOfMemoryError',
    `-Djava.io.tmpdir=${temporary}`,
    '-Djava.net.preferIPv4Stack=true',
    `-Dlog4j2.configurationFile=${LOGGING}`,
  ];
}

/**
 * A command that runs a main class of Spark's.
 * @param own further options of this JVM
 * @param job the jar of the job, if it is needed. A class archive fits every class path that begins
 *   as the one it was made with, so it stands last.
 */
export function command(
  program: string,
  home: string,
  temporary: string,
  heapMb: number,
  own: readonly string[],
  main: readonly string[],
  job: readonly string[] = [],
): string[] {
  // As a worker composes it for its executors.
  const jars = join(home, 'jars');
  const first = readdirSync(jars).filter((name) => name.startsWith('slf4j-api-'));
  const paths = [join(home, 'conf'), ...[...first, '*'].map((name) => join(jars, name)), ...job];
  const jvm = [`-Xmx${heapMb}m`, ...options(temporary), ...own, ...MODULES];
  return [program, ...jvm, '-cp', paths.join(':'), ...main];
}

export function environment(home: string, temporary: string): NodeJS.ProcessEnv {
  return {
    ...jvmEnvironment(),
    SPARK_HOME: home,
    SPARK_SCALA_VERSION: '2.13',
    // What Spark binds to where nothing else says it, and what its pages link to.
    SPARK_LOCAL_IP: '127.0.0.1',
    SPARK_PUBLIC_DNS: '127.0.0.1',
    SPARK_LOCAL_DIRS: temporary,
  };
}

/**
 * Settings of master and workers, which the job has as well.
 * @param secret without which nobody submits anything; it is only ever in these files
 */
export function sharedProperties(secret: string, recovery: string): Record<string, string> {
  return {
    'spark.authenticate': 'true',
    'spark.authenticate.secret': secret,
    // It would take a program without that secret. And a page that another site opens ends nothing.
    'spark.master.rest.enabled': 'false',
    'spark.ui.killEnabled': 'false',
    // A port that is taken is said, instead of another one taken in silence.
    'spark.port.maxRetries': '0',
    // A master that comes back knows its workers and its job.
    'spark.deploy.recoveryMode': 'FILESYSTEM',
    'spark.deploy.recoveryDirectory': recovery,
    // However often executors end, the job gets others.
    'spark.deploy.maxExecutorRetries': '-1',
    // A worker that says nothing is given up.
    'spark.worker.timeout': '15',
  };
}

/** Nothing that is secret but `secret`: the job's page shows these, and conceals only that. */
export function jobProperties(
  spark: Spark,
  ports: Ports,
  size: Size,
  temporary: string,
): Record<string, string> {
  const workers = ports.workers.length;
  return {
    'spark.master': `spark://127.0.0.1:${ports.master}`,
    'spark.submit.deployMode': 'client',
    'spark.driver.host': '127.0.0.1',
    'spark.driver.bindAddress': '127.0.0.1',
    'spark.ui.port': String(ports.jobUi),
    'spark.ui.showConsoleProgress': 'false',
    'spark.executor.memory': `${size.executorMemoryMb}m`,
    'spark.executor.cores': String(size.coresPerWorker),
    'spark.cores.max': String(size.coresPerWorker * workers),
    'spark.executor.extraJavaOptions': [...options(temporary), ...archived(spark)]
      .map((option) => `"${option}"`)
      .join(' '),
    'spark.locality.wait': '0s',
    'spark.sql.shuffle.partitions': String(size.coresPerWorker * workers),
    'spark.sql.warehouse.dir': join(temporary, 'warehouse'),
    // An executor that says nothing is given up, and what it had is done by another.
    'spark.executor.heartbeatInterval': '2s',
    'spark.network.timeout': '20s',
    'spark.network.timeoutInterval': '2s',
    // And before that a task that hangs is tried beside it, where the job has switched that on.
    'spark.speculation.task.duration.threshold': '5s',
  };
}

/** The class archive, for a JVM of the cluster. */
export function archived({ archive }: Spark): string[] {
  return [`-XX:SharedArchiveFile=${archive}`];
}

/** Settings of the run whose classes are archived. */
export function trainingProperties(folder: string): string {
  return propertiesText({
    ...sharedProperties(randomBytes(24).toString('hex'), join(folder, 'recovery')),
    'spark.driver.host': '127.0.0.1',
    'spark.driver.bindAddress': '127.0.0.1',
    'spark.ui.port': '0',
    'spark.executor.memory': '512m',
    'spark.sql.warehouse.dir': join(folder, 'warehouse'),
  });
}

/** As a file of Java properties. */
export function propertiesText(properties: Readonly<Record<string, string>>): string {
  const lines = Object.entries(properties).map(
    ([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}`,
  );
  return `# Written at every start.\n${lines.join('\n')}\n`;
}
