/** The sum by project, why events were refused, and the partitions of the log. */
import { type ReactNode, useId } from 'react';
import type { PipelineAnswer } from '../../process/pipeline/answer.ts';
import { DataTable } from '../ui/DataTable.tsx';
import { formatNumber } from '../ui/format.ts';
import { secondsOf } from './PathPicture.tsx';
import { nameOf } from './SumLine.tsx';

const ROWS_MAX = 50;

export function Projects({ projects }: Pick<PipelineAnswer, 'projects'>) {
  const rows = projects.slice(0, ROWS_MAX);
  return (
    <Framed title="By project" note={left(projects.length, 'projects')}>
      <DataTable
        caption="the sum by project"
        rows={rows.map((row) => ({ ...row, project_id: nameOf(row.project_id) }))}
        columns={{
          project_id: 'Project',
          accepted: 'Accepted',
          stored: 'Stored',
          duplicate: 'Duplicate',
          rejected: 'Rejected',
          removed: 'Removed',
          waiting: 'Waiting',
          missing: 'Missing',
        }}
      />
    </Framed>
  );
}

export function Rejected({ rejected }: Pick<PipelineAnswer, 'rejected'>) {
  const rows = rejected.slice(0, ROWS_MAX);
  const hint = (
    <>
      {left(rejected.length, 'reasons')}Look at them with{' '}
      <code>npm run clickstream rejected list</code>.
    </>
  );
  return (
    <Framed title="Rejected, by reason and field" note={rows.length === 0 ? '' : hint}>
      {rows.length === 0 ? (
        <p className="state">No event was refused.</p>
      ) : (
        <DataTable
          caption="rejected events by reason and field"
          rows={rows.map((row) => ({ ...row, project_id: nameOf(row.project_id) }))}
          columns={{
            reason: 'Reason',
            field: 'Field',
            project_id: 'Project',
            last_hour: 'Last hour',
            events: 'In all',
          }}
        />
      )}
    </Framed>
  );
}

/** How far the processor is behind, by partition; the current log has a line for all of it. */
export function Partitions({ partitions }: Pick<PipelineAnswer, 'partitions'>) {
  const current = partitions[0]?.log_id;
  const parts = partitions.filter(({ log_id }) => log_id === current);
  const sum = (name: 'waiting' | 'missing' | 'committed' | 'accepted'): number =>
    parts.reduce((total, part) => total + part[name], 0);
  const all = {
    log_id: current ?? 0,
    log_partition: 'all',
    waiting: sum('waiting'),
    behind_ms: Math.max(0, ...parts.map(({ behind_ms }) => behind_ms)),
    missing: sum('missing'),
    committed: sum('committed'),
    accepted: sum('accepted'),
  };
  const rows = [...(parts.length > 1 ? [all] : []), ...partitions]
    .slice(0, ROWS_MAX)
    .map(({ log_id, log_partition, behind_ms, waiting, ...rest }) => ({
      ...rest,
      log: log_id === current ? `${log_id} (current)` : String(log_id),
      partition: String(log_partition),
      waiting,
      behind: waiting === 0 ? '–' : secondsOf(behind_ms),
    }));
  const hint = (
    <>
      {left(partitions.length, 'partitions')}The lag of a partition is what is on the log and not in
      the store yet: its end less what is committed.
    </>
  );
  return (
    <Framed title="Partitions of the log" note={hint}>
      <DataTable
        caption="partitions of the log"
        rows={rows}
        columns={{
          log: 'Log',
          partition: 'Partition',
          waiting: 'Lag',
          behind: 'Oldest waits for',
          missing: 'Missing',
          committed: 'Committed',
          accepted: 'End',
        }}
      />
    </Framed>
  );
}

function left(length: number, what: string): string {
  return length > ROWS_MAX
    ? `${formatNumber(length - ROWS_MAX)} more ${what} are in the API. `
    : '';
}

function Framed({
  title,
  note,
  children,
}: {
  title: string;
  note: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <figure className="panel framed" aria-labelledby={id}>
      <figcaption>
        <h3 id={id}>{title}</h3>
      </figcaption>
      {children}
      {note !== '' && <p className="note">{note}</p>}
    </figure>
  );
}
