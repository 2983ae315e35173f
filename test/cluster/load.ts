/**
 * Senders that count only what was answered 202, and what has to be so after they have stopped: the
 * judge finds nothing lost or doubled, and the sums of the pipeline and of the audit close.
 */
import assert from 'node:assert/strict';
import type { PipelineAnswer } from '../../src/process/pipeline/answer.ts';
import type { AuditReport } from '../../src/process/upkeep/audit-report.ts';
import { faultOf, judge, readProgress, type Verdict } from '../crash/judge.ts';
import { createLedger, type Ledger } from '../crash/ledger.ts';
import { KEYS, type Sender, startSender } from '../crash/sender.ts';
import { type Member, type Stage, until } from './stage.ts';

export interface Load {
  readonly collectors: readonly Member[];
  readonly ledger: Ledger;
  /** Resolves after so many more answers of 202. */
  goesOn(answers?: number): Promise<void>;
  begin(): void;
  /** Resolves when what is on its way has been answered. */
  end(): Promise<void>;
  giveUp(): void;
}

export function createLoad(name: string, collectors: readonly Member[]): Load {
  const ledger = createLedger();
  const urls = collectors.map(({ url }) => url);
  const senders: Sender[] = [];
  let begun = 0;
  return {
    collectors,
    ledger,
    async goesOn(answers = 5) {
      for (let i = 0; i < answers; i++) await ledger.nextAcknowledged();
    },
    begin() {
      begun++;
      const more = Object.keys(KEYS).map((project, i) => {
        const names = { name: `${name}-${begun}-${project}`, project, seed: begun * 10 + i };
        return startSender({ urls: i % 2 === 0 ? urls : urls.toReversed(), ...names, ledger });
      });
      senders.push(...more);
    },
    async end() {
      await Promise.all(senders.splice(0).map((sender) => sender.stop()));
    },
    giveUp() {
      for (const sender of senders) sender.giveUp();
    },
  };
}

export interface Proven {
  stage: Stage;
  topic: string;
  query: Member;
  load: Load;
  logId?: number;
}

/** Everything that was acknowledged is stored once, however it is counted. */
export async function prove({ stage, topic, query, load, logId }: Proven): Promise<Verdict> {
  await load.end();
  await Promise.all(
    load.collectors
      .filter(({ isRunning }) => isRunning)
      .map((collector) => until(() => isSentOn(collector))),
  );
  const verdict = await judge({
    url: query.url,
    store: stage.storeAccess,
    ledger: load.ledger,
    mayRepeat: true,
    ...(logId !== undefined && { logId }),
  });
  assert.equal(faultOf(verdict), undefined);
  await sumCloses(query);
  await auditCloses(stage, topic);
  return verdict;
}

/** Nothing is on its spool any more. */
async function isSentOn({ url }: Member): Promise<boolean> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return /^clickstream_spool_records 0$/m.test(metrics);
}

/** Of every record of the log. An answer holds for some seconds: it is asked for until it is new. */
export async function sumCloses({ url }: Member): Promise<void> {
  const ends = (await readProgress(url))?.ends ?? [];
  const records = ends.reduce((total, end) => total + end, 0);
  let sum: PipelineAnswer;
  do sum = (await (await fetch(`${url}/api/pipeline`)).json()) as PipelineAnswer;
  while (sum.total.accepted < records || sum.total.waiting > 0);
  assert.deepEqual([sum.closed, sum.total.missing], [true, 0]);
}

export async function auditCloses(
  stage: Stage,
  topic: string,
  ...more: string[]
): Promise<AuditReport> {
  const parameters = ['audit', '--json', ...more];
  const { code, stdout, stderr } = await stage.command(stage.environment(topic), ...parameters);
  assert.equal(code, 0, stdout + stderr);
  const report = JSON.parse(stdout) as AuditReport;
  assert.equal(report.closed, true);
  return report;
}
