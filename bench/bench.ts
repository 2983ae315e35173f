/**
 * `npm run bench`: every figure of docs/performance.md, as ratios in one run on this machine.
 *
 *   npm run bench                      all of them, about twelve minutes on two cores
 *   npm run bench -- acks log          only these
 *   npm run bench -- --write           all, and docs/performance.md is written anew
 */
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureAcks } from './acks.ts';
import { measureCollect } from './collect.ts';
import { measureExactlyOnce } from './exactly-once.ts';
import { measureFreshness, measureStart } from './freshness.ts';
import { measureLog } from './log.ts';
import { type Report, toMarkdown } from './report.ts';
import { measureStorage } from './storage.ts';
import { measureThroughput } from './throughput.ts';
import { measureWindow } from './window.ts';

const BENCHES: Readonly<Record<string, () => Promise<Report | Report[]>>> = {
  collect: measureCollect,
  log: measureLog,
  acks: measureAcks,
  throughput: measureThroughput,
  exactly_once: measureExactlyOnce,
  freshness: measureFreshness,
  start: measureStart,
  storage: measureStorage,
  window: measureWindow,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
});
const names = positionals.length === 0 ? Object.keys(BENCHES) : positionals;
const unknown = names.find((name) => !(name in BENCHES));
if (unknown !== undefined || (values.write && positionals.length > 0)) {
  const known = Object.keys(BENCHES).join(', ');
  process.stderr.write(`bench: names of benches are ${known}; --write writes all of them\n`);
  process.exit(2);
}

const GIB = 1024 ** 3;
const [cpu] = cpus();
const head = `# Performance

Figures of one run of \`npm run bench -- --write\`, which wrote this page: ratios and medians, on ${new Date().toISOString().slice(0, 10)}, with Node ${process.versions.node}, on ${cpus().length} cores (${cpu?.model.trim()}) and ${Math.round(totalmem() / GIB)} GiB. Load generators, browser and probes ran on the same cores. Read the ratios: another machine has other numbers.
`;
process.stdout.write(`${head}\n`);
const pages = [head];
for (const name of names) {
  process.stderr.write(`bench: ${name} …\n`);
  for (const report of [await BENCHES[name]?.()].flat()) {
    if (report === undefined) continue;
    const page = toMarkdown(report);
    process.stdout.write(`${page}\n`);
    pages.push(page);
  }
}
if (values.write)
  writeFileSync(join(import.meta.dirname, '..', 'docs', 'performance.md'), pages.join('\n'));
