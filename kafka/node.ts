/** One node of Kafka as a process of its own. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { jvmEnvironment } from '../java/java.ts';
import { type Child, createChild } from '../local/child.ts';
import type { Role } from './properties.ts';

export interface KafkaNode extends Child {
  readonly id: number;
  readonly role: Role;
}

export interface NodeJvm {
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
const SERVES = 'Kafka Server started';

/**
 * @param folder of the node: `server.properties` and the formatted `data` are in it
 * @param onDeath called with one sentence when it ends by itself after it has served
 */
export function createNode(
  { id, role, name }: { id: number; role: Role; name: string },
  folder: string,
  { program, libs, options, guard }: NodeJvm,
  onDeath: (sentence: string) => void,
): KafkaNode {
  const heap = role === 'controller' ? '-Xmx128m' : '-Xmx256m';
  const java = [program, ...OPTIONS, heap, ...options, '-cp', join(libs, '*'), 'kafka.Kafka'];
  const jvm = createChild({
    name,
    folder,
    command: [...java, 'server.properties'],
    guard,
    environment: jvmEnvironment(),
    log: 'kafka.log',
    serves: SERVES,
    startMsMax: START_MS_MAX,
    stopMsMax: STOP_MS_MAX,
    onDeath,
  });
  return {
    ...jvm,
    id,
    role,
    get pid() {
      return jvm.pid;
    },
  };
}
