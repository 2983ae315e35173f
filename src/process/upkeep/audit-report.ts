/**
 * What an audit says, and how it is added up: by partition and by project, with the places that are
 * not as they should be, a bounded number of them by name.
 */
import type { At, NamedBatch, OutcomeCount } from './places.ts';

export interface NamedPlace {
  log_id: number;
  log_partition: number;
  log_offset: number;
  /** Empty where only the place is known. */
  project_id: string;
}

interface RepeatedId {
  project_id: string;
  event_id: string;
  copies: number;
}

/** The first of many, and how many more there are. */
export interface Named<T> {
  named: T[];
  more: number;
}

/** Records of one kind each: accepted + doubled = stored + duplicate + rejected + removed + missing. */
export interface Sum {
  /** By the log, or by the places that there must be. */
  accepted: number;
  stored: number;
  duplicate: number;
  rejected: number;
  /** Erased, or older than a time limit. */
  removed: number;
  missing: number;
  /** Rows beyond the first of a place. */
  doubled: number;
}

export interface ProjectSum extends Sum {
  project_id: string;
}

export interface PartitionSum extends Sum {
  log_id: number;
  log_partition: number;
  /** Places from here to before `to`. */
  from: number;
  to: number;
  /** Whether the log has these records, so that a missing one can be put back. */
  in_log: boolean;
}

export interface AuditReport {
  /** Of the append times that were asked for, in UTC; null is all. */
  from: string | null;
  to: string | null;
  audited_at: string;
  took_ms: number;
  partitions: PartitionSum[];
  /** Of all partitions; the empty name is of places of which nothing more is known. */
  projects: ProjectSum[];
  missing: Named<NamedPlace>;
  doubled: Named<NamedPlace>;
  /** Event ids that are stored at two places within the window. */
  repeated: Named<RepeatedId>;
  /** Batches whose places are not in one piece: two have written a partition at the same time. */
  interleaved: Named<NamedBatch>;
  /** What was mended before these figures were taken; null when that was not asked for. */
  healed: { missing: number; doubled: number } | null;
  /** The sum closes: nothing is missing, nothing is there twice, each batch is in one piece. */
  closed: boolean;
}

/** A place that is not as it should be, and by how many rows. */
interface Fault {
  offset: number;
  project: string;
  surplus: number;
}

/** The sum of one range of places. */
export interface PartialSum {
  addOutcomes(rows: readonly OutcomeCount[]): void;
  add(field: keyof Sum, project: string, count: number): void;
  /** Counts a place and names it, if there is room for its name. */
  name(field: 'missing' | 'doubled', fault: Fault): void;
}

export interface Sums {
  open(range: At & { from: number; to: number; inLog: boolean }): PartialSum;
  result(): Pick<AuditReport, 'partitions' | 'projects' | 'missing' | 'doubled'>;
  isClosed(): boolean;
}

const ZERO: Sum = {
  accepted: 0,
  stored: 0,
  duplicate: 0,
  rejected: 0,
  removed: 0,
  missing: 0,
  doubled: 0,
};

export function createSums(namedMax: number): Sums {
  const partitions: PartitionSum[] = [];
  const projects = new Map<string, ProjectSum>();
  const faults: Record<'missing' | 'doubled', Named<NamedPlace>> = {
    missing: { named: [], more: 0 },
    doubled: { named: [], more: 0 },
  };
  return {
    open({ logId: log_id, partition: log_partition, from, to, inLog: in_log }) {
      const place = { log_id, log_partition };
      const partition: PartitionSum = { ...place, from, to, in_log, ...ZERO };
      partitions.push(partition);
      const sum: PartialSum = {
        addOutcomes(rows) {
          for (const { outcome, project_id, rows: count } of rows)
            sum.add(outcome, project_id, count);
        },
        add(field, project_id, count) {
          if (count === 0) return;
          const project = projects.get(project_id) ?? { project_id, ...ZERO };
          projects.set(project_id, project);
          partition[field] += count;
          project[field] += count;
        },
        name(field, { offset: log_offset, project: project_id, surplus }) {
          sum.add(field, project_id, surplus);
          const { named } = faults[field];
          if (named.length < namedMax) named.push({ ...place, log_offset, project_id });
          else faults[field].more++;
        },
      };
      return sum;
    },
    result: () => ({
      partitions,
      projects: [...projects.values()].sort((a, b) => (a.project_id < b.project_id ? -1 : 1)),
      ...faults,
    }),
    isClosed: () => partitions.every((sum) => sum.accepted === sum.to - sum.from && isClosed(sum)),
  };
}

function isClosed(sum: Sum): boolean {
  const there = sum.stored + sum.duplicate + sum.rejected + sum.removed;
  return sum.accepted === there && sum.missing === 0 && sum.doubled === 0;
}
