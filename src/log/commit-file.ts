/**
 * What was committed, per partition: two slots in one small file, written in turn, so that a torn
 * write leaves the slot before it. A slot also holds the end of the durable records at that time,
 * by which recovery knows what must be there.
 */
import { crc32c } from '@node-rs/crc32';
import { AppError } from '../base/errors.ts';
import type { Disk, DiskFile } from './disk.ts';
import { NOTE_BYTES_MAX } from './log.ts';

const SLOT_BYTES = 8192;
const HEADER_BYTES = 32;

interface CommitState {
  offset: number;
  note: string;
  /** One past the last durable record when this was written. */
  durableEnd: number;
}

export interface CommitFile {
  readonly state: CommitState;
  /** Durable when it resolves. One at a time. */
  write(state: CommitState): Promise<void>;
  close(): Promise<void>;
}

/**
 * The caller says whether the file has to be made and whether there are segments; it makes the
 * name durable (`syncFolder`) before the first of them.
 * @throws AppError `log_corrupt` when both slots are damaged, or the file is cut short.
 */
export async function openCommitFile(
  disk: Disk,
  path: string,
  { seed, isNew, hasSegments }: { seed: number; isNew: boolean; hasSegments: boolean },
): Promise<CommitFile> {
  const file = await disk.open(path, isNew ? 'create' : 'write');
  try {
    const buffer = Buffer.alloc(2 * SLOT_BYTES);
    if ((await file.read(buffer, 0)) < buffer.length) {
      if (hasSegments) throw new AppError('log_corrupt', `${path} is damaged: it is too short.`);
      // New, or a crash came before its zeros were durable.
      buffer.fill(0);
    }
    const slots = [buffer.subarray(0, SLOT_BYTES), buffer.subarray(SLOT_BYTES)];
    const read = slots.map((slot) => readSlot(slot, seed));
    const newest = read.reduce((a, b) => (b.sequence > a.sequence ? b : a));
    if (newest.sequence === 0 && slots.every((slot) => slot.some((byte) => byte !== 0))) {
      throw new AppError('log_corrupt', `${path} is damaged at byte 0: neither slot can be read.`);
    }
    // A crash or a failed flush may have left all this in memory only; written again, it is durable.
    await file.write(buffer, 0);
    await file.fdatasync();
    return usedBy(file, newest, seed);
  } catch (error) {
    await file.close();
    throw error;
  }
}

interface Slot extends CommitState {
  /** 0: never written, or torn. */
  sequence: number;
}

function usedBy(file: DiskFile, newest: Slot, seed: number): CommitFile {
  let slot = newest;
  return {
    get state() {
      return slot;
    },
    async write(state) {
      const written = { ...state, sequence: slot.sequence + 1 };
      await writeSlot(file, written, seed);
      await file.fdatasync();
      slot = written;
    },
    close: () => file.close(),
  };
}

async function writeSlot(file: DiskFile, slot: Slot, seed: number): Promise<void> {
  const note = Buffer.from(slot.note);
  const buffer = Buffer.alloc(HEADER_BYTES + note.length);
  buffer.writeUInt32LE(note.length, 4);
  buffer.writeDoubleLE(slot.sequence, 8);
  buffer.writeDoubleLE(slot.offset, 16);
  buffer.writeDoubleLE(slot.durableEnd, 24);
  note.copy(buffer, HEADER_BYTES);
  buffer.writeUInt32LE(crc32c(buffer.subarray(4), seed), 0);
  await file.write(buffer, (slot.sequence % 2) * SLOT_BYTES);
}

function readSlot(slot: Buffer, seed: number): Slot {
  const end = HEADER_BYTES + slot.readUInt32LE(4);
  const isIntact =
    end <= HEADER_BYTES + NOTE_BYTES_MAX &&
    slot.readUInt32LE(0) === crc32c(slot.subarray(4, end), seed);
  if (!isIntact) return { sequence: 0, offset: 0, note: '', durableEnd: 0 };
  return {
    sequence: slot.readDoubleLE(8),
    offset: slot.readDoubleLE(16),
    durableEnd: slot.readDoubleLE(24),
    note: slot.toString('utf8', HEADER_BYTES, end),
  };
}
