/**
 * A real Kafka on this machine, for `npm run kafka`, tests and benches: two brokers and three
 * controllers, or one node, each a process of its own. It ends with the process that started it.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findJava, findMaven } from '../java/java.ts';
import { residentBytesOf, untilWeDie } from '../local/child.ts';
import { ProgramError } from '../local/error.ts';
import { freeBase, refuseTakenPorts } from '../local/ports.ts';
import { check } from '../src/base/check.ts';
import { realDisk } from '../src/log/disk.ts';
import { formatNode, randomId } from './format.ts';
import { areJarsHere, type Kafka, prepareKafka } from './jars.ts';
import { createNode, type KafkaNode } from './node.ts';
import { type Layout, type Place, PORTS, places, properties } from './properties.ts';
import { askForLead, type Lead } from './quorum.ts';
import { type Certificate, type Login, makeCertificate, secureProperties } from './secure.ts';

export interface KafkaCluster {
  /** `127.0.0.1:9092,127.0.0.1:9093` */
  readonly brokers: string;
  /** A file with the certificate of a node that is `secure`. */
  readonly ca: string | undefined;
  readonly nodes: readonly KafkaNode[];
  /** The controller that leads the quorum. @throws ProgramError when there is none for long. */
  activeController(): Promise<KafkaNode>;
  /** Resident memory of all its nodes. */
  residentBytes(): Promise<number>;
  /** Stops in order: brokers first, then the controllers without which brokers cannot stop. */
  stop(): Promise<void>;
  /** Kills all nodes; resolves when they are gone. */
  close(): Promise<void>;
}

export interface KafkaOptions {
  /** Where data and logs lie; a second start on it keeps topics and records. */
  folder: string;
  layout: Layout;
  /** Clients come over TLS, as this user (`single` only). */
  secure?: Login;
  /** The first of five ports; free ones when it is left out. */
  port?: number;
  /** After this time without a heartbeat a broker's partitions move: 2,000 when left out. */
  sessionMs?: number;
  /** Called with what goes on, a line at a time; also when a node ends by itself. */
  progress?: (text: string) => void;
}

const SESSION_MS = 2_000;
const CONTROLLERS_STOP_MS_MAX = 1_000;
const LEAD_MS_MAX = 15_000;
const LEAD_POLL_MS = 50;

/** One line why Kafka cannot run here; undefined when it can. */
export async function whyNoKafka(): Promise<string | undefined> {
  try {
    await findJava('Kafka');
    if (!areJarsHere()) await findMaven('Kafka');
    return undefined;
  } catch (error) {
    if (error instanceof ProgramError) return error.message;
    throw error;
  }
}

/** Resolves when every node serves. @throws ProgramError in one sentence when that cannot be. */
export async function startKafka(options: KafkaOptions): Promise<KafkaCluster> {
  const { folder, layout, sessionMs = SESSION_MS, progress = () => undefined } = options;
  check(options.secure === undefined || layout === 'single', 'only a single node is secure');
  const java = await findJava('Kafka');
  const guard = await untilWeDie();
  const all = places(layout, options.port ?? (await freeBase(PORTS)));
  const ports = all.flatMap(({ port, controllerPort }) =>
    [port ?? [], controllerPort ?? []].flat(),
  );
  await refuseTakenPorts(ports, 'Kafka', '--port');
  const kafka = await prepareKafka(java, guard, progress);

  await mkdir(folder, { recursive: true });
  const lock = await realDisk.lock(join(folder, 'lock'));
  if ('heldBy' in lock)
    throw new ProgramError(`${folder} is in use by process ${lock.heldBy}; choose another folder`);
  const jvm = {
    program: java.program,
    libs: kafka.libs,
    options: kafka.options,
    guard,
  };
  const nodes = all.map((place) => createNode(place, join(folder, place.name), jvm, progress));
  const close = async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await lock.release();
  };
  let certificate: Certificate | undefined;
  try {
    let secure: string | undefined;
    if (options.secure !== undefined) {
      certificate = await makeCertificate(folder, 'ip:127.0.0.1,dns:localhost');
      secure = secureProperties(certificate, options.secure);
    }
    await format(folder, layout, all, kafka, (place) => properties(place, all, sessionMs, secure));
    progress(`starting ${all.map(({ name }) => name).join(', ')}`);
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    brokers: all.flatMap(({ port }) => (port === undefined ? [] : `127.0.0.1:${port}`)).join(','),
    ca: certificate?.pem,
    nodes,
    async activeController() {
      const ports = all.flatMap(({ controllerPort }) => controllerPort ?? []);
      const until = performance.now() + LEAD_MS_MAX;
      while (performance.now() < until) {
        const leads = (await Promise.all(ports.map(askForLead))).filter(
          (lead) => lead !== undefined,
        );
        // One that was frozen believes for a moment that it still leads.
        const newest = leads.reduce<Lead | undefined>(
          (best, lead) => (best === undefined || lead.epoch > best.epoch ? lead : best),
          undefined,
        );
        const found = nodes.find(({ id }) => id === newest?.leader);
        if (found !== undefined) return found;
        await delay(LEAD_POLL_MS);
      }
      throw new ProgramError(`no controller leads for ${LEAD_MS_MAX / 1000} s`);
    },
    async residentBytes() {
      const sizes = await Promise.all(nodes.map(({ pid }) => residentBytesOf(pid)));
      return sizes.reduce((sum, size) => sum + size, 0);
    },
    async stop() {
      const isBroker = (node: KafkaNode) => node.role !== 'controller';
      await Promise.all(nodes.filter(isBroker).map((node) => node.stop()));
      // The leading one waits for a successor, who cannot come when all go.
      const stopped = Promise.all(nodes.map((node) => node.stop()));
      await Promise.race([stopped, delay(CONTROLLERS_STOP_MS_MAX, undefined, { ref: false })]);
      await close();
    },
    close,
  };
}

/** Writes what the nodes start from: the same on the first start and on every later one. */
async function format(
  folder: string,
  layout: Layout,
  all: readonly Place[],
  kafka: Kafka,
  settingsOf: (place: Place) => string,
): Promise<void> {
  const path = join(folder, 'cluster.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const cluster =
    text === undefined
      ? { id: randomId(), layout }
      : (JSON.parse(text) as { id: string; layout: Layout });
  if (cluster.layout !== layout) {
    const other = { single: 'a single node', cluster: 'a cluster' }[cluster.layout];
    throw new ProgramError(`${folder} holds ${other}; choose another folder, or start it as that`);
  }
  if (text === undefined) {
    await writeFile(`${path}.part`, JSON.stringify(cluster));
    await rename(`${path}.part`, path);
  }
  for (const place of all) {
    const metadata = place.controllerPort === undefined ? undefined : kafka.metadata;
    const home = join(folder, place.name);
    await formatNode(home, place.id, cluster.id, metadata);
    await writeFile(join(home, 'server.properties'), settingsOf(place));
  }
}
