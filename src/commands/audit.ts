/**
 * `clickstream audit`: is every record that was accepted stored once? Prints the sum and what does
 * not fit in it; exit code 0 when it closes, 1 when not.
 */
import type {
  AuditReport,
  Named,
  NamedPlace,
  PartitionSum,
  ProjectSum,
  Sum,
} from '../process/upkeep/audit-report.ts';
import { readAuditRequest } from '../process/upkeep/requests.ts';
import { type Command, readArguments, write } from './command.ts';
import { doWork } from './upkeep-of.ts';

const HELP = `clickstream audit: is every record that was accepted stored once?

  --from T, --to T   records that came from T on, up to T: ISO 8601 (UTC unless it names a zone)
                     or milliseconds since 1970; default all, also what the log no longer has
  --heal             puts back what is missing, keeps one row of what is there twice
  --json             the report as JSON

It asks the running process, or opens the data folder itself while none runs. The exit code is 0
when the sum closes, 1 when not.

  npm run clickstream audit
  npm run clickstream -- audit --from 2026-05-01 --heal
`;

export const audit: Command = {
  says: 'is every accepted record stored once? mends it',
  help: HELP,
  async run(args, surroundings) {
    const { json, ...body } = readArguments({
      args,
      options: {
        from: { type: 'string' },
        to: { type: 'string' },
        heal: { type: 'boolean' },
        json: { type: 'boolean' },
      },
    }).values;
    const { heal, ...range } = readAuditRequest(body);
    const report = await doWork<AuditReport>(surroundings, {
      title: heal ? 'auditing and healing' : 'auditing',
      path: '/api/audit',
      body,
      alone: (upkeep) => upkeep.audit(range, heal),
    });
    const text = json ? `${JSON.stringify(report, undefined, 2)}\n` : auditText(report);
    await write(surroundings.stdout, text);
    return report.closed ? 0 : 1;
  },
};

const FIELDS: readonly (keyof Sum)[] = [
  'accepted',
  'stored',
  'duplicate',
  'rejected',
  'removed',
  'missing',
  'doubled',
];

/** A report for people. */
function auditText(report: AuditReport): string {
  const { from, to, healed, missing, doubled, repeated, interleaved } = report;
  const lines = [
    from === null && to === null
      ? 'All records, by partition of the log'
      : `Records from ${from ?? 'the first'} to ${to ?? 'the last'}, by partition of the log`,
    ...table(['log', 'partition', 'places'], report.partitions, partitionCells),
    '',
    'By project',
    ...table(['project'], report.projects, projectCells),
    '',
    ...placeLines('missing', missing),
    ...placeLines('doubled', doubled),
    ...repeated.named.map(
      ({ project_id, event_id, copies }) =>
        `stored ${copies} times: event ${event_id} of ${project_id}`,
    ),
    ...moreLine(repeated),
    ...interleaved.named.map(
      ({ log_id, log_partition, batch_id, from: first, to: past }) =>
        `not in one piece: batch ${batch_id} of log ${log_id}, partition ${log_partition}, ${first}–${past}`,
    ),
    ...moreLine(interleaved),
  ];
  if (healed !== null)
    lines.push(`Healed: ${healed.missing} missing put back, ${healed.doubled} doubled kept once.`);
  const lost = report.partitions.some((sum) => !sum.in_log && sum.missing > 0);
  if (lost)
    lines.push(
      'What the log no longer has cannot be put back: it keeps processed records for a time.',
    );
  lines.push(verdict(report));
  return `${lines.join('\n')}\n`;
}

function verdict({ closed, healed, partitions, repeated, interleaved }: AuditReport): string {
  if (closed) return 'The sum closes: every record is there once.';
  const total = (field: keyof Sum) => partitions.reduce((sum, row) => sum + row[field], 0);
  const faults = [
    `${total('missing')} missing`,
    `${total('doubled')} doubled`,
    `${repeated.named.length + repeated.more} event ids stored more than once`,
    `${interleaved.named.length + interleaved.more} batches not in one piece`,
  ].join(', ');
  const hint =
    healed === null && total('missing') + total('doubled') > 0 ? ' --heal mends it.' : '';
  return `The sum does not close: ${faults}.${hint}`;
}

function partitionCells({ log_id, log_partition, from, to, in_log }: PartitionSum): string[] {
  return [
    String(log_id),
    String(log_partition),
    `${from}–${to}${in_log ? '' : ' (no longer on the log)'}`,
  ];
}

function projectCells({ project_id }: ProjectSum): string[] {
  return [project_id === '' ? '(not known)' : project_id];
}

function table<Row extends Sum>(
  heads: readonly string[],
  rows: readonly Row[],
  cells: (row: Row) => string[],
): string[] {
  const all = [
    [...heads, ...FIELDS],
    ...rows.map((row) => [...cells(row), ...FIELDS.map((field) => String(row[field]))]),
  ];
  const widths = [...heads, ...FIELDS].map((_, i) =>
    Math.max(...all.map((line) => line[i]?.length ?? 0)),
  );
  return all.map((line) =>
    line
      .map((cell, i) =>
        i < heads.length ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

function placeLines(what: string, places: Named<NamedPlace>): string[] {
  const lines = places.named.map(
    ({ log_id, log_partition, log_offset, project_id }) =>
      `${what}: log ${log_id}, partition ${log_partition}, offset ${log_offset}${project_id === '' ? '' : ` (${project_id})`}`,
  );
  return [...lines, ...moreLine(places)];
}

function moreLine({ more }: { more: number }): string[] {
  return more > 0 ? [`… and ${more} more`] : [];
}
