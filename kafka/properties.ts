/**
 * The layout of a cluster (which nodes, on which ports) and the server.properties of a node.
 */

export type Role = 'broker' | 'controller' | 'both';
export type Layout = 'single' | 'cluster';

export interface Place {
  readonly id: number;
  readonly role: Role;
  /** Folder of the node in the folder of the cluster. */
  readonly name: string;
  /** Where clients connect; undefined for a controller. */
  readonly port: number | undefined;
  /** Where the quorum speaks; undefined for a broker. */
  readonly controllerPort: number | undefined;
}

/** Ports that a layout takes, counted from its base. */
export const PORTS = 5;

/** Brokers at the base port and after it, controllers from the third port on. */
export function places(layout: Layout, base: number): Place[] {
  if (layout === 'single')
    return [{ id: 1, role: 'both', name: 'node-1', port: base, controllerPort: base + 2 }];
  const brokers = [1, 2].map(
    (id): Place => ({
      id,
      role: 'broker',
      name: `broker-${id}`,
      port: base + id - 1,
      controllerPort: undefined,
    }),
  );
  const controllers = [3, 4, 5].map(
    (id): Place => ({
      id,
      role: 'controller',
      name: `controller-${id}`,
      port: undefined,
      controllerPort: base + id - 1,
    }),
  );
  return [...brokers, ...controllers];
}

function clientListeners(port: number, isSecure: boolean): string[] {
  if (!isSecure) return [`PLAINTEXT://127.0.0.1:${port}`];
  return [`SASL_SSL://127.0.0.1:${port}`, `PLAINTEXT://127.0.0.1:${port + 1}`];
}

/**
 * @param all every node of the cluster
 * @param sessionMs after this time without a heartbeat a broker's partitions move to the others
 * @param secure of a single node whose clients come over TLS with a login: lines about both. What it
 * says to itself stays plain, at the port after the clients' one.
 */
export function properties(
  node: Place,
  all: readonly Place[],
  sessionMs: number,
  secure?: string,
): string {
  const brokers = all.filter(({ port }) => port !== undefined);
  const voters = all.flatMap(({ id, controllerPort: port }) =>
    port === undefined ? [] : [`${id}@127.0.0.1:${port}`],
  );
  const listeners = [
    ...(node.port === undefined ? [] : clientListeners(node.port, secure !== undefined)),
    ...(node.controllerPort === undefined ? [] : [`CONTROLLER://127.0.0.1:${node.controllerPort}`]),
  ].join(',');
  const replicas = brokers.length;
  return `# Written at every start.
node.id=${node.id}
process.roles=${node.role === 'both' ? 'broker,controller' : node.role}
listeners=${listeners}
advertised.listeners=${listeners}
controller.quorum.voters=${voters.join(',')}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
${node.port === undefined ? '' : 'inter.broker.listener.name=PLAINTEXT\n'}log.dirs=data

# Every record lies on all brokers, and one broker is enough to go on.
default.replication.factor=${replicas}
min.insync.replicas=1
unclean.leader.election.enable=false
offsets.topic.replication.factor=${replicas}
transaction.state.log.replication.factor=${replicas}
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=${replicas}
share.coordinator.state.topic.min.isr=1
auto.create.topics.enable=false
num.partitions=4
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4

# A node that is gone is noticed soon, and groups begin at once.
broker.session.timeout.ms=${sessionMs}
broker.heartbeat.interval.ms=${Math.min(400, Math.ceil(sessionMs / 5))}
controller.quorum.election.timeout.ms=1000
controller.quorum.fetch.timeout.ms=2000
leader.imbalance.check.interval.seconds=30
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

message.max.bytes=16777216
replica.fetch.max.bytes=16777216
replica.fetch.response.max.bytes=16777216

# Small enough for a laptop.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=8388608
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
${secure ?? ''}`;
}
