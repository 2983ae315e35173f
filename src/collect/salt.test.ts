/** The salt of the day: kept over a restart, gone with the day, readable by its owner alone. */
import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realClock } from '../base/clock.ts';
import { openSalt } from './salt.ts';

const NOON = Date.UTC(2026, 5, 1, 12);
const HOUR_MS = 3_600_000;

function setUp(t: { after(end: () => void): void }) {
  const dataFolder = mkdtempSync(join(tmpdir(), 'clickstream-salt-'));
  t.after(() => rmSync(dataFolder, { recursive: true }));
  let nowMs = NOON;
  const clock = { ...realClock, now: () => nowMs };
  return { dataFolder, clock, moveTo: (ms: number) => (nowMs = ms) };
}

test('is the same all day, also after a restart', (t) => {
  const { dataFolder, clock, moveTo } = setUp(t);
  const salt = openSalt({ dataFolder, clock });
  const first = salt();
  assert.ok(first.length >= 32);
  moveTo(NOON + 11 * HOUR_MS);
  assert.equal(salt(), first);
  assert.equal(openSalt({ dataFolder, clock })(), first);
});

test('changes at midnight UTC, and nothing keeps the old one', (t) => {
  const { dataFolder, clock, moveTo } = setUp(t);
  const salt = openSalt({ dataFolder, clock });
  const first = salt();
  moveTo(NOON + 12 * HOUR_MS);
  const second = salt();
  assert.notEqual(second, first);
  const files = readdirSync(dataFolder);
  assert.deepEqual(files, ['visitor-salt.json']);
  const kept = readFileSync(join(dataFolder, 'visitor-salt.json'), 'utf8');
  assert.ok(kept.includes(second) && !kept.includes(first));
  moveTo(NOON + 60 * HOUR_MS);
  assert.notEqual(openSalt({ dataFolder, clock })(), second);
});

test('can be read by its owner alone', (t) => {
  const { dataFolder, clock } = setUp(t);
  openSalt({ dataFolder, clock });
  assert.equal(statSync(join(dataFolder, 'visitor-salt.json')).mode & 0o777, 0o600);
});

test('a file that a crash left half written is replaced', (t) => {
  const { dataFolder, clock } = setUp(t);
  for (const text of ['', '{"day":', '{"day":1}', '[]']) {
    writeFileSync(join(dataFolder, 'visitor-salt.json'), text);
    assert.ok(openSalt({ dataFolder, clock })().length >= 32, text);
  }
});

test('a full disk at midnight refuses nobody, and keeps yesterday’s salt no longer', (t) => {
  const { dataFolder, clock, moveTo } = setUp(t);
  const salt = openSalt({ dataFolder, clock });
  const first = salt();
  const next = join(dataFolder, 'visitor-salt.json.new');
  symlinkSync('/dev/full', next);
  moveTo(NOON + 12 * HOUR_MS);
  const second = salt();
  assert.notEqual(second, first);
  assert.equal(salt(), second);
  assert.deepEqual(readdirSync(dataFolder), ['visitor-salt.json.new']);
  rmSync(next);
  assert.equal(salt(), second);
  assert.equal(openSalt({ dataFolder, clock })(), second, 'there is room again');
});
