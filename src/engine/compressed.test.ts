/** The blocks of `compress=1`, read back; the checksums were made by another implementation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cityHash128 } from './city-hash.ts';
import { toBlocks } from './compressed.ts';

/** By the number of bytes; both halves as numbers. Of github.com/go-faster/city. */
const HASHES = {
  8: '65baf29778ac41207b9aaeec1730e9cb',
  9: '5495ba047b3f6a71b26d758f92c783f0',
  15: '559d23e74c3b4d0161a15d987db4b199',
  16: '2b56ce12aaaa705386d37636f0a9fd7c',
  17: 'cc1635d30b45102d6df064855d3fb478',
  20: 'c2e29bc688af37eaed5984ac44162bb3',
  23: '8bc42e4b38c1729c1de0818b4d7325d5',
  24: 'a94dc7ddaa49208f4ef6b1e93aad4c72',
  31: 'ce1dca44115994d08bded1f6a3115d72',
  32: 'd5d99fb6598c92d4f125b1c3e1697600',
  33: '22afaf490a264f98d30201123b29c042',
  48: 'af7acab8fc1df1887534d10420058474',
  63: 'dfd4e9ddf7692a519a08cb943983f87d',
  64: 'd32c4a87e4f6b9ffac25558fcfd4feda',
  128: '8a9eb54a03e7de7c14517a436a9370ac',
  143: '917fa67158a920f3c72b6731fa8383db',
  144: 'aa32912de6d04e6500ae1001810e87e1',
  145: '283f2d2c50f85dcc2b49d286ab707122',
  175: '20c4a9addcacb5576b33abe19d741e95',
  176: '9e7e08a66521cd83ec3d47518d5f8940',
  208: '2355997063e552b76e21723b572c532b',
  255: '1f3e505d890cffc71af52232dec05926',
  272: 'a9c20088d1a81ff77dc2b9ddaba0ce47',
  300: '9559e78944842dbdd7fbc7ef62038aad',
  400: '19f04ca7215ce4b10a385b4e0ac5bf01',
  527: '68675835d612f3b07433af3d9b0d373e',
  699: '00422ac5a32b36c7d518d8bb1515113b',
};

test('the hash is the one of ClickHouse, for every way that it takes', () => {
  for (const [size, expected] of Object.entries(HASHES)) {
    const length = Number(size);
    const bytes = Array.from({ length }, (_, i) => ((i * 7 + length * 13) ^ (i >> 3)) & 255);
    const hash = cityHash128(Buffer.from(bytes));
    const half = (at: number) => hash.readBigUInt64LE(at).toString(16).padStart(16, '0');
    assert.equal(half(0) + half(8), expected, `${size} bytes`);
  }
});

test('blocks hold the data, whatever their size', async () => {
  for (const size of [0, 1, 14, 15, 16, 269, 270, 271, 525, 65_535, 65_536, 65_537, 200_000]) {
    const data = Buffer.from(Array.from({ length: size }, (_, i) => (i * 31) & 255));
    assert.deepEqual(readBlocks(await toBlocks(data)), data, `${size} bytes`);
  }
});

function readBlocks(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    assert.equal(bytes.readUInt8(at + 16), 0x82);
    const size = bytes.readUInt32LE(at + 17);
    const block = bytes.subarray(at + 16, at + 16 + size);
    assert.deepEqual(cityHash128(block), bytes.subarray(at, at + 16));
    const data = literalsOf(block.subarray(9));
    assert.equal(data.length, block.readUInt32LE(5));
    parts.push(data);
    at += 16 + size;
  }
  return Buffer.concat(parts);
}

function literalsOf(packed: Buffer): Buffer {
  let at = 0;
  const token = packed.readUInt8(at++);
  assert.equal(token & 15, 0);
  let length = token >> 4;
  if (length === 15) {
    for (let more = 255; more === 255; length += more) more = packed.readUInt8(at++);
  }
  assert.equal(packed.length - at, length);
  return packed.subarray(at);
}
