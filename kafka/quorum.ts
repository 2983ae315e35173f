/**
 * Asks a controller which of them leads the quorum: one DescribeQuorum request of Kafka's protocol,
 * written by hand, since each controller answers for itself here and a client would ask a broker.
 */
import { once } from 'node:events';
import { connect } from 'node:net';

export interface Lead {
  /** Id of the node that leads. */
  readonly leader: number;
  /** Grows with every election. */
  readonly epoch: number;
}

const ANSWER_MS_MAX = 1_000;
const TOPIC = '__cluster_metadata';
const DESCRIBE_QUORUM = 55;

/** Undefined when the controller at this port does not lead, or does not answer. */
export async function askForLead(port: number): Promise<Lead | undefined> {
  const socket = connect(port, '127.0.0.1');
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  try {
    await once(socket, 'connect', { signal });
    socket.write(request());
    let answer = Buffer.alloc(0);
    while (answer.length < 4 || answer.length < 4 + answer.readInt32BE(0)) {
      const [chunk] = (await once(socket, 'data', { signal })) as [Buffer];
      answer = Buffer.concat([answer, chunk]);
    }
    return readLead(answer);
  } catch {
    return undefined;
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}

function request(): Buffer {
  const parts = [
    int16(DESCRIBE_QUORUM),
    int16(0), // version
    int32(1), // correlation id
    int16(-1), // no client id
    [0], // tags of the header
    [2], // one topic; lengths are one more than they count
    [TOPIC.length + 1, ...Buffer.from(TOPIC)],
    [2], // one partition
    int32(0),
    [0, 0, 0], // tags of partition, topic and request
  ].flat();
  return Buffer.from([...int32(parts.length), ...parts]);
}

function int16(value: number): number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

function int32(value: number): number[] {
  return [...int16(value >> 16), ...int16(value)];
}

/** Undefined when the answer is that it does not lead. */
function readLead(answer: Buffer): Lead | undefined {
  const error = answer.readInt16BE(9); // size, correlation id, tags
  if (error !== 0) return undefined;
  // Number of topics, name with its length, number of partitions, index.
  const partition = 11 + 1 + 1 + TOPIC.length + 1 + 4;
  if (answer.readInt16BE(partition) !== 0) return undefined;
  return { leader: answer.readInt32BE(partition + 2), epoch: answer.readInt32BE(partition + 6) };
}
