/** The sum of the pipeline, asked again and again; the old answer stays until the new one is there. */
import { keepPreviousData, type UseQueryResult, useQuery } from '@tanstack/react-query';
import type { PipelineAnswer } from '../../process/pipeline/answer.ts';
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
  });
}
