/**
 * `npm run kafka`: a real Kafka on this machine until Ctrl-C, and what to type next.
 */
import { endWith, readCommandLine } from '../local/command.ts';
import { ProgramError } from '../local/error.ts';
import { type KafkaCluster, startKafka } from './cluster.ts';
import { KAFKA_VERSION } from './jars.ts';
import { PORTS } from './properties.ts';

const HELP = `A real Kafka ${KAFKA_VERSION} on this machine, reachable from it alone. It needs Java 17 or later and, the
first time, Maven.

  npm run kafka                       two brokers and three controllers
  npm run kafka -- --single           one node that is both

  --port <number>    the first of ${PORTS} ports, for the brokers and then the controllers (9092)
  --data <folder>    where topics and logs are kept (./data/kafka)
  --help             this text
`;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function print(text: string): void {
  process.stdout.write(text);
}

async function main(): Promise<void> {
  // Records are private: every file and folder made here is for this user.
  process.umask(0o077);
  const { single, port, data, help } = readParameters();
  if (help) return print(HELP);

  let kafka: KafkaCluster | undefined;
  let isStopping = false;
  const stop = async (): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    print('  stopping in order\n');
    // Before it runs there is nothing to stop in order: nodes end with this process.
    await kafka?.stop();
    process.exit(0);
  };
  for (const signal of SIGNALS) process.on(signal, () => void stop());
  // Whoever read the output may be gone; the nodes still want to be stopped in order.
  process.stdout.on('error', () => undefined);

  kafka = await startKafka({
    folder: data,
    layout: single ? 'single' : 'cluster',
    port,
    progress: (text) => {
      print(`  ${text}\n`);
      if (isStopping || kafka?.nodes.some(({ pid }) => pid !== undefined) !== false) return;
      process.stderr.write('kafka: no node runs any more\n');
      process.exit(1);
    },
  });
  if (isStopping) return;
  print(`
  Kafka ${KAFKA_VERSION} is running

  brokers     ${kafka.brokers}
  data, logs  ${data}
  next        CLICKSTREAM_LOG=kafka://${kafka.brokers}/clickstream npm start
  stop        Ctrl-C

`);
}

/** @throws ProgramError that says what is wrong. */
function readParameters() {
  const { values } = readCommandLine('kafka', {
    options: {
      single: { type: 'boolean', default: false },
      port: { type: 'string', default: '9092' },
      data: { type: 'string', default: './data/kafka' },
      help: { type: 'boolean', default: false },
    },
  });
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port < 1 || port > 65_536 - PORTS)
    throw new ProgramError(
      `--port is "${values.port}"; it takes a number from 1 to ${65_536 - PORTS}.`,
    );
  if (values.data === '') throw new ProgramError('--data is empty; it takes a folder.');
  return { ...values, port };
}

main().catch((error: unknown) => endWith('kafka', error));
