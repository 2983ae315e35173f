/** What is said when a real program cannot be brought up on this machine, or has stopped. */

/** The message is one sentence for a person. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
}

/** What is brought up, for the sentence that says so. */
export type Needs = 'Kafka' | 'Spark' | 'Superset';
