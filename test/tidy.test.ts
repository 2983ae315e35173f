/**
 * The house rules that can be checked: who may import whom, one library in one place, and words
 * that are not used here. CONTRIBUTING.md says why.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const sources = globSync('src/**/*.{ts,tsx}', { cwd: ROOT }).map((path) => {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const imports = [...text.matchAll(/^(?:import|export)\b[^'"]*?from\s*['"]([^'"]+)['"]/gms)].map(
    (match) => ({
      from: match[1] ?? '',
      typeOnly: /^(?:import|export) type\b/.test(match[0]),
    }),
  );
  const isTest = /\.(test|contract)\.tsx?$/.test(path);
  return { path, text, imports, isTest, stage: path.split('/')[1] ?? '' };
});
const code = sources.filter((source) => !source.isTest);

/** What a stage may import of ours, beside its own folder: folders or single files. */
const MAY_IMPORT: Record<string, string[]> = {
  event: [],
  base: [],
  sdk: ['event'],
  collect: ['event', 'base', 'log/log.ts'],
  log: ['base'],
  process: ['event', 'base', 'log/log.ts', 'store/store.ts'],
  engine: ['base'],
  store: ['base'],
  query: ['base', 'store/store.ts'],
  dashboard: ['query/questions.ts', 'process/pipeline/answer.ts'],
  demo: ['event', 'base'],
};
const TYPES_ONLY = ['sdk', 'dashboard'];

test('every stage imports only the stages its row of the table allows', () => {
  const broken: string[] = [];
  for (const { path, imports, stage } of code) {
    const allowed = MAY_IMPORT[stage];
    if (allowed === undefined) continue;
    for (const { from, typeOnly } of imports.filter((i) => i.from.startsWith('.'))) {
      const target = normalize(join(dirname(path), from)).replace(/^src\//, '');
      if (target.startsWith(`${stage}/`)) continue;
      const isAllowed = allowed.some((entry) => target === entry || target.startsWith(`${entry}/`));
      if (!isAllowed || (TYPES_ONLY.includes(stage) && !typeOnly))
        broken.push(`${path} → ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

/** library → the files that may import it, by the start of their path below src/. */
const ONE_PLACE: Record<string, string[]> = {
  chdb: ['engine/'],
  '@clickhouse/client': ['store/clickhouse.ts'],
  'fs-native-extensions': ['log/'],
  '@platformatic/kafka': ['log/kafka'],
  'prom-client': ['base/metrics.ts'],
  pino: ['base/logger.ts'],
  bowser: ['collect/steps/'],
  isbot: ['collect/steps/'],
  'mmdb-lib': ['collect/steps/'],
  react: ['dashboard/'],
  'react-dom': ['dashboard/'],
};

test('a library is imported in one place', () => {
  const broken: string[] = [];
  for (const { path, imports } of sources) {
    for (const { from } of imports) {
      const library = Object.keys(ONE_PLACE).find(
        (name) => from === name || from.startsWith(`${name}/`),
      );
      const places = library === undefined ? undefined : ONE_PLACE[library];
      if (places !== undefined && !places.some((place) => path.startsWith(`src/${place}`))) {
        broken.push(`${path} imports ${from}`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

test('the server knows no library that only development brings', () => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const broken: string[] = [];
  for (const { path, imports, stage } of code) {
    if (stage === 'dashboard' || stage === 'sdk') continue;
    for (const { from } of imports) {
      if (from.startsWith('.') || from.startsWith('node:')) continue;
      const name = from
        .split('/')
        .slice(0, from.startsWith('@') ? 2 : 1)
        .join('/');
      if (!(name in dependencies)) broken.push(`${path} imports ${from}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('the environment and the clock are read in one place each', () => {
  const broken: string[] = [];
  for (const { path, text, stage } of code) {
    if (stage === 'dashboard' || stage === 'sdk') continue;
    if (/process\.env\b/.test(text) && path !== 'src/main.ts') broken.push(`${path}: process.env`);
    if (/Date\.now\(/.test(text) && path !== 'src/base/clock.ts')
      broken.push(`${path}: Date.now()`);
  }
  assert.deepEqual(broken, []);
});

test('every file opens with what it is for', () => {
  const broken = sources.filter(({ text }) => !/^(\/\*\*|\/\/)/.test(text)).map(({ path }) => path);
  assert.deepEqual(broken, []);
});

test('no file is long and no folder is crowded', () => {
  const long = code.filter(({ text }) => text.split('\n').length > 400).map(({ path }) => path);
  const perFolder = Map.groupBy(code, ({ path }) => dirname(path));
  const crowded = [...perFolder].filter(([, files]) => files.length > 20).map(([folder]) => folder);
  assert.deepEqual({ long, crowded }, { long: [], crowded: [] });
});

test('names say what a thing is: no utils, helpers, managers, barrels', () => {
  const banned = /(^|[/-])(utils?|helpers?|managers?|services?|common|misc|index)(\.tsx?|\/|-)/;
  assert.deepEqual(
    sources.map(({ path }) => path).filter((path) => banned.test(path)),
    [],
  );
});
