/** The sum of the pipeline, asked again and again; the old answer stays until the new one is there. */
import { keepPreviousData, type UseQueryResult, useQuery } from '@tanstack/react-query';
import type { PipelineAnswer, Spool } from '../../process/pipeline/answer.ts';
import { ask } from '../use-question.ts';

/** A little longer than the server holds an answer. */
const AGAIN_MS = 2_500;

export function usePipeline(project: string | undefined): UseQueryResult<PipelineAnswer, Error> {
  const query = project === undefined ? '' : `?${new URLSearchParams({ project })}`;
  const address = `/api/pipeline${query}`;
  return useQuery({
    queryKey: [address],
    queryFn: ({ signal }) => ask<PipelineAnswer>(address, signal),
    placeholderData: keepPreviousData,
    refetchInterval: AGAIN_MS,
    // It is asked again in any case, and what is known without the sum is shown at once.
    retry: false,
  });
}

/** What is on the spool by now: it is told also when the sum cannot be. */
export function spoolNow(data: PipelineAnswer | undefined, error: Error | null): Spool | null {
  if (error === null) return data?.spool ?? null;
  const refusal = error.cause as { spool?: Spool } | undefined;
  return refusal?.spool ?? null;
}
