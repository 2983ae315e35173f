/**
 * The bytes of one file as the kernel and as the disk have them. Writes wait in between until they
 * are flushed; a power failure keeps any of their sectors and loses the others.
 */
import type { Random } from './random.ts';

const SECTOR_BYTES = 512;

interface Write {
  bytes: Uint8Array;
  position: number;
}

export class Content {
  /** What a reader sees. */
  cached: Buffer = Buffer.alloc(0);
  /** What is on the disk for sure. */
  #durable: Buffer = Buffer.alloc(0);
  /** Written and not flushed. */
  #waiting: Write[] = [];

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    const write = { bytes: Uint8Array.from(bytes), position };
    this.cached = withWrite(this.cached, write);
    this.#waiting.push(write);
  }

  /** What a flush that begins now has to bring to the disk. */
  begun(): readonly Write[] {
    return [...this.#waiting];
  }

  flush(begun: readonly Write[]): void {
    for (const write of this.#taken(begun)) this.#durable = withWrite(this.#durable, write);
  }

  /** The kernel takes the bytes for flushed, and the disk has at most some of them. */
  lose(begun: readonly Write[], random: Random): void {
    for (const write of this.#taken(begun)) this.#keepSome(write, random);
  }

  /** A bit of the disk turns, and is read from there. */
  flip(position: number, bit: number): void {
    for (const bytes of [this.cached, this.#durable]) {
      if (position < bytes.length)
        bytes.writeUInt8(bytes.readUInt8(position) ^ (1 << bit), position);
    }
  }

  /** The kernel drops what it takes for flushed, and reads it from the disk the next time. */
  evict(): void {
    this.cached = this.#waiting.reduce(withWrite, Buffer.from(this.#durable));
  }

  powerFails(random: Random): void {
    for (const write of this.#waiting.splice(0)) this.#keepSome(write, random);
    this.cached = Buffer.from(this.#durable);
  }

  copy(): Content {
    const copy = new Content();
    copy.cached = Buffer.from(this.cached);
    copy.#durable = Buffer.from(this.#durable);
    copy.#waiting = [...this.#waiting];
    return copy;
  }

  #taken(begun: readonly Write[]): readonly Write[] {
    const taken = new Set(begun);
    const found = this.#waiting.filter((write) => taken.has(write));
    this.#waiting = this.#waiting.filter((write) => !taken.has(write));
    return found;
  }

  #keepSome({ bytes, position }: Write, random: Random): void {
    const mode = random.pick(['all', 'none', 'some', 'some'] as const);
    if (mode === 'none') return;
    let at = 0;
    while (at < bytes.length) {
      const end = Math.min(bytes.length, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES));
      // Sectors are whole on most disks; where they are not, one is torn somewhere.
      const torn = mode === 'some' && random.chance(0.2) ? random.between(at, end) : end;
      if (mode === 'all' || random.chance(0.5)) {
        const part = { bytes: bytes.subarray(at, torn), position: position + at };
        if (part.bytes.length > 0) this.#durable = withWrite(this.#durable, part);
      }
      at = end;
    }
  }
}

function withWrite(bytes: Buffer, write: Write): Buffer {
  const end = write.position + write.bytes.length;
  let target = bytes;
  if (end > bytes.length) {
    target = Buffer.alloc(end);
    bytes.copy(target);
  }
  target.set(write.bytes, write.position);
  return target;
}
