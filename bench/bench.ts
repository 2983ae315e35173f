/**
 * `npm run bench`: every figure of docs/performance.md, as ratios in one run on this machine.
 *
 *   npm run bench                      all of them, about twenty minutes on two cores
 *   npm run bench -- acks log          only these
 *   npm run bench -- --write           all, and docs/performance.md is written anew
 *   npm run bench -- window --write    only this one, and its sections of the page
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureAcks } from './acks.ts';
import { measureCollect } from './collect.ts';
import { measureExactlyOnce } from './exactly-once.ts';
import { measureFreshness, measureStart } from './freshness.ts';
import { measureKafka } from './kafka.ts';
import { measureLog } from './log.ts';
import { type Report, toMarkdown } from './report.ts';
import { measureSpark } from './spark.ts';
import { measureStorage } from './storage.ts';
import { measureSuperset } from './superset.ts';
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
  kafka: measureKafka,
  spark: measureSpark,
  superset: measureSuperset,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
});
const names = positionals.length === 0 ? Object.keys(BENCHES) : positionals;
const unknown = names.find((name) => !(name in BENCHES));
if (unknown !== undefined) {
  const known = Object.keys(BENCHES).join(', ');
  process.stderr.write(`bench: names of benches are ${known}\n`);
  process.exit(2);
}

const GIB = 1024 ** 3;
const [cpu] = cpus();
const day = new Date().toISOString().slice(0, 10);
const head = `# Performance

Figures that \`npm run bench -- --write\` has printed: ratios and medians, each section of one run, with Node ${process.versions.node}, on ${cpus().length} cores (${cpu?.model.trim()}) and ${Math.round(totalmem() / GIB)} GiB. Load generators, browser and probes ran on the same cores. Read the ratios: another machine has other numbers.
`;
const PAGE = join(import.meta.dirname, '..', 'docs', 'performance.md');
/** Title → section; what is not measured again stays as it is. */
const sections = positionals.length === 0 ? new Map<string, string>() : readSections();
process.stdout.write(`${head}\n`);
for (const name of names) {
  process.stderr.write(`bench: ${name} …\n`);
  for (const report of [await BENCHES[name]?.()].flat()) {
    if (report === undefined) continue;
    const section = `${toMarkdown(report)}\nMeasured on ${day}.\n`;
    process.stdout.write(`${section}\n`);
    sections.set(report.title, section);
  }
}
if (values.write) writeFileSync(PAGE, [head, ...sections.values()].join('\n'));

function readSections(): Map<string, string> {
  const [, ...texts] = readFileSync(PAGE, 'utf8').split(/^(?=## )/m);
  return new Map(texts.map((text) => [text.slice(3, text.indexOf('\n')), `${text.trimEnd()}\n`]));
}
