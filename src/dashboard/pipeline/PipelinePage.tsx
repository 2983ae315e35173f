/**
 * The pipeline: whether every accepted record is accounted for, where records are now, and what
 * became of them in the last hour.
 */
import { useRef } from 'react';
import type { PipelineAnswer } from '../../process/pipeline/answer.ts';
import { formatSeconds } from '../ui/format.ts';
import { TopBar } from '../ui/TopBar.tsx';
import { nameProject, useNamedProject } from '../url-state.ts';
import { Minutes } from './Minutes.tsx';
import { PathPicture, secondsOf } from './PathPicture.tsx';
import './pipeline.css';
import { SparkJob } from './SparkJob.tsx';
import { SpoolLine } from './SpoolLine.tsx';
import { nameOf, SumLine } from './SumLine.tsx';
import { Partitions, Projects, Rejected } from './Tables.tsx';
import { spoolNow, usePipeline } from './use-pipeline.ts';

export function PipelinePage() {
  const project = useNamedProject();
  const asked = usePipeline(project);
  const { data, isSuccess } = asked;
  // A query without an answer forgets its error when it tries again; shown like that it would flicker.
  const lastError = useRef<Error | null>(null);
  if (asked.error !== null) lastError.current = asked.error;
  else if (isSuccess) lastError.current = null;
  const error = lastError.current;
  const spool = spoolNow(data, error);
  return (
    <>
      <TopBar>
        <ProjectChoice project={project} projects={data?.projects ?? []} />
      </TopBar>
      <main>
        <h2 id="pipeline">
          Pipeline
          <small>
            {data !== undefined && `counted at ${formatSeconds(asked.dataUpdatedAt)} · `}
            {data !== undefined &&
              `stored up to ${formatSeconds(Date.parse(data.stored_until))} · `}
            {data !== undefined && `took ${secondsOf(data.took_ms)}`}
            {data !== undefined && error !== null && (
              <span className="warning" role="status" title={error.message}>
                {' '}
                Not refreshed
              </span>
            )}
          </small>
        </h2>
        {spool !== null && <SpoolLine spool={spool} />}
        {data === undefined ? (
          <Waiting error={error} onRetry={() => asked.refetch()} />
        ) : (
          <div className={asked.isPlaceholderData ? 'old' : undefined}>
            <Content answer={{ ...data, spool }} countedAt={asked.dataUpdatedAt} />
          </div>
        )}
      </main>
    </>
  );
}

function Content({ answer, countedAt }: { answer: PipelineAnswer; countedAt: number }) {
  return (
    <>
      <SumLine answer={answer} />
      {answer.total.accepted === 0 && (
        <p className="panel state">
          No record has been accepted yet. They are counted here from the first one on.
        </p>
      )}
      <PathPicture answer={answer} />
      {answer.spark !== null && (
        <SparkJob spark={answer.spark} waiting={waitingIn(answer)} countedAt={countedAt} />
      )}
      <Minutes minutes={answer.minutes} />
      <div className="grid tables">
        <Projects projects={answer.projects} />
        <Rejected rejected={answer.rejected} />
      </div>
      <Partitions partitions={answer.partitions} />
    </>
  );
}

/** Of every project, whichever is looked at. */
function waitingIn({ partitions }: PipelineAnswer): number {
  return partitions.reduce((sum, { waiting }) => sum + waiting, 0);
}

function Waiting({ error, onRetry }: { error: Error | null; onRetry: () => void }) {
  if (error === null) {
    return (
      <div className="panel">
        <p className="state" role="status">
          Counting what is on the log and in the store…
        </p>
      </div>
    );
  }
  return (
    <div className="panel">
      <div className="state" role="alert">
        <p>{error.message}</p>
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      </div>
    </div>
  );
}

function ProjectChoice({
  project,
  projects,
}: {
  project: string | undefined;
  projects: PipelineAnswer['projects'];
}) {
  const names = new Set(projects.map(({ project_id }) => project_id));
  if (project !== undefined) names.add(project);
  // An option has a text as its value: that of a project stands behind a mark.
  return (
    <label className="choice">
      <span>Project</span>
      <select
        value={project === undefined ? 'all' : `=${project}`}
        onChange={({ currentTarget: { value } }) =>
          nameProject(value === 'all' ? undefined : value.slice(1))
        }
      >
        <option value="all">All projects</option>
        {[...names].map((name) => (
          <option key={name} value={`=${name}`}>
            {nameOf(name)}
          </option>
        ))}
      </select>
    </label>
  );
}
