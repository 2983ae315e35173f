/**
 * Native as it is since protocol 54454, made of what the engine writes: from there on each block
 * begins with its info, and each column says behind its type whether it is serialised in a way of
 * its own, which here none is. To find where a column ends its data have to be stepped over.
 */
import { EngineError } from './errors.ts';
import { tokens } from './statement.ts';

/** The first protocol with that byte. Who asks for an older one takes the engine's own Native. */
const CUSTOM_SERIALIZATION = 54_454;

/** No overflow, and no bucket of a two-level aggregation. */
const BLOCK_INFO = Buffer.of(1, 0, 2, 255, 255, 255, 255, 0);
const PLAIN = Buffer.of(0);

export const wantsNewNative = (protocol: string | null): boolean =>
  Number(protocol) >= CUSTOM_SERIALIZATION;

/** @throws EngineError 48 when a column is of a type whose data this cannot step over. */
export function toNewNative(bytes: Uint8Array): Buffer {
  const reader = createReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const parts: Uint8Array[] = [];
  while (!reader.isAtEnd()) {
    parts.push(BLOCK_INFO);
    let from = reader.at();
    const columns = reader.varint();
    const rows = reader.varint();
    for (let i = 0; i < columns; i++) {
      reader.skip(reader.varint());
      const type = readType(reader.text());
      parts.push(reader.since(from), PLAIN);
      from = reader.at();
      if (rows > 0) {
        skipPrefix(reader, type);
        skipRows(reader, type, rows);
      }
    }
    parts.push(reader.since(from));
  }
  return Buffer.concat(parts);
}

type Reader = ReturnType<typeof createReader>;

function createReader(bytes: Buffer) {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes.readUInt8(at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  return {
    at: () => at,
    isAtEnd: () => at >= bytes.length,
    since: (from: number) => bytes.subarray(from, at),
    varint,
    skip(size: number) {
      at += size;
    },
    text() {
      const size = varint();
      at += size;
      return bytes.toString('utf8', at - size, at);
    },
    uint64() {
      at += 8;
      return Number(bytes.readBigUInt64LE(at - 8));
    },
  };
}

interface Type {
  name: string;
  /** Of a type that holds others. */
  inner: Type[];
  /** What stands in the brackets of a type that holds none. */
  sizes: number[];
}

const HOLDS_TYPES = ['Array', 'LowCardinality', 'Map', 'Nullable', 'Tuple'];

const BYTES = new Map<string, number>(
  Object.entries({
    ...{ Bool: 1, Int8: 1, UInt8: 1, Enum8: 1, Nothing: 1 },
    ...{ Int16: 2, UInt16: 2, Enum16: 2, Date: 2, BFloat16: 2 },
    ...{ Int32: 4, UInt32: 4, Float32: 4, Date32: 4, DateTime: 4, Time: 4, IPv4: 4 },
    ...{ Int64: 8, UInt64: 8, Float64: 8, DateTime64: 8, Time64: 8 },
    ...{ Int128: 16, UInt128: 16, UUID: 16, IPv6: 16, Int256: 32, UInt256: 32 },
  }),
);

function readType(text: string): Type {
  const words = [...tokens(text)].map((token) => token.text);
  let at = 0;
  const read = (): Type => {
    // `a String` in a Tuple: a name stands before its type.
    if (!['(', ')', ',', undefined].includes(words[at + 1])) at++;
    const type: Type = { name: words[at++] ?? '', inner: [], sizes: [] };
    if (words[at] !== '(') return type;
    if (HOLDS_TYPES.includes(type.name)) {
      do {
        at++;
        type.inner.push(read());
      } while (words[at] === ',');
    } else {
      for (at++; at < words.length && words[at] !== ')'; at++) type.sizes.push(Number(words[at]));
    }
    at++;
    return type;
  };
  return read();
}

function bytesOf({ name, sizes: [size = 0] }: Type): number {
  if (name === 'FixedString') return size;
  if (name === 'Decimal') return 4 * 2 ** [9, 18, 38].filter((digits) => size > digits).length;
  const bytes = name.startsWith('Interval') ? 8 : BYTES.get(name);
  if (bytes !== undefined) return bytes;
  throw new EngineError(
    48,
    `The embedded engine cannot send a column of type ${name} as Native since protocol 54454; ask for another format, or use a ClickHouse server. (NOT_IMPLEMENTED)`,
  );
}

/** Once for a column and before its data, however deep the type stands. */
function skipPrefix(reader: Reader, type: Type): void {
  if (type.name === 'LowCardinality') reader.skip(8);
  else for (const inner of type.inner) skipPrefix(reader, inner);
}

function skipRows(reader: Reader, type: Type, rows: number): void {
  const [first, second] = type.inner;
  if (type.name === 'String') {
    for (let i = 0; i < rows; i++) reader.skip(reader.varint());
  } else if (type.name === 'Nullable' && first !== undefined) {
    reader.skip(rows);
    skipRows(reader, first, rows);
  } else if (type.name === 'Tuple') {
    for (const inner of type.inner) skipRows(reader, inner, rows);
  } else if (type.name === 'Array' && first !== undefined) {
    skipRows(reader, first, skipOffsets(reader, rows));
  } else if (type.name === 'Map' && first !== undefined && second !== undefined) {
    const pairs = skipOffsets(reader, rows);
    skipRows(reader, first, pairs);
    skipRows(reader, second, pairs);
  } else if (type.name === 'LowCardinality' && first !== undefined) {
    if (rows > 0) skipDictionary(reader, first);
  } else {
    reader.skip(rows * bytesOf(type));
  }
}

/** Each row's end in the data that follow; the last is how many there are. */
function skipOffsets(reader: Reader, rows: number): number {
  if (rows === 0) return 0;
  reader.skip((rows - 1) * 8);
  return reader.uint64();
}

/** The keys, then for each row which of them it has, in one to eight bytes. */
function skipDictionary(reader: Reader, key: Type): void {
  const indexBytes = 2 ** (reader.uint64() & 255);
  const [plain = key] = key.name === 'Nullable' ? key.inner : [];
  skipRows(reader, plain, reader.uint64());
  reader.skip(reader.uint64() * indexBytes);
}
