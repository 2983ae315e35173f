/**
 * The sum of the pipeline as it is answered: `accepted = stored + duplicate + rejected + removed +
 * waiting + missing`. The dashboard imports these types.
 */

export interface Counts {
  /** Records on the log: each was answered with 202, or with the reason why it is refused. */
  accepted: number;
  stored: number;
  duplicate: number;
  rejected: number;
  /** Taken out of the store on purpose, and recorded as such. */
  removed: number;
  /** On the log, not in the store yet. */
  waiting: number;
  /** `accepted` less all the others: what the store lost, or below zero what it has twice. */
  missing: number;
}

export interface PipelineAnswer {
  /** No count of any partition, project and minute is missing or doubled. */
  closed: boolean;
  /** Of everything, or of the project that was asked for. */
  total: Counts;
  /**
   * Every project since the beginning, whichever is asked for. What the log says by project is known
   * of the last hour and of what waits: only what is missing there can be told by project; the rest
   * is in its partition and the total.
   */
  projects: ({ project_id: string } & Counts)[];
  /** The last 60 minutes by `received_at`, oldest first. `time`: their start, ms since 1970. */
  minutes: ({ time: number } & Counts)[];
  /** Every partition of every log, whatever project is asked for; those of the current log first. */
  partitions: {
    log_id: number;
    log_partition: number;
    /** One past the last record; of an earlier log, one past the last that the store has seen. */
    accepted: number;
    /** Everything before it is in the store. */
    committed: number;
    waiting: number;
    missing: number;
    /** Age of the oldest record that waits. */
    behind_ms: number;
  }[];
  /** Why events were refused: the most frequent ones first. */
  rejected: {
    project_id: string;
    reason: string;
    field: string;
    last_hour: number;
    events: number;
  }[];
  /** Every record received before this time is in the store; ISO 8601. */
  stored_until: string;
  took_ms: number;
  /** Null in a process without one. */
  spool: Spool | null;
  /** Null where no Spark job has processed the current log within a day. */
  spark: Spark | null;
  /** What the last audit since the start has found; null when there was none. */
  last_audit: LastAudit | null;
}

/**
 * What the process that answers has accepted and not yet sent on to the log, because that did not
 * answer. It is no part of `accepted`, which is counted on the log. When the log does not answer,
 * neither can the sum be told: then it stands beside the error.
 */
export interface Spool {
  records: number;
  bytes: number;
  /** Age of the oldest record. */
  behind_ms: number;
  log_answers: boolean;
  /** Why events are refused by now; null while they are taken. */
  refusal: string | null;
}

/** What the Spark job says of itself. */
export interface Spark {
  /** When it was heard of last; ISO 8601, by its own clock. */
  seen_at: string;
  /** Of that micro-batch; null when it is more than a minute ago: stopped, or nothing to do. */
  now: SparkProgress | null;
  /** The last ten minutes in steps of ten seconds, oldest first, each with its highest values. */
  recent: {
    /** Start of the step, ms since 1970. */
    time: number;
    batch_ms: number;
    lag: number;
  }[];
}

export interface SparkProgress {
  /** Spark's number of the micro-batch, and the records in it. */
  batch: number;
  rows: number;
  /** Records a second. */
  input_rate: number;
  process_rate: number;
  /** How long it took, and its inserts. */
  batch_ms: number;
  insert_ms: number;
  /** Records on the topic behind it. */
  lag: number;
  executors: number;
}

/** In short; `GET /api/audit` has all of it. */
export interface LastAudit {
  /** ISO 8601; the range of append times, null for all that there is. */
  audited_at: string;
  from: string | null;
  to: string | null;
  closed: boolean;
  /**
   * Places without a row, rows beyond the first of a place, event ids stored twice, and batches not in
   * one piece.
   */
  missing: number;
  doubled: number;
  repeated: number;
  interleaved: number;
  /** Places that it had put right before. */
  healed: number;
}
