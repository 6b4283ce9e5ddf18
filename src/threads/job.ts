// Stages as one job, and the memory that it takes while it runs.

import { roundUp } from '../memory/round.ts';
import { STAGE_WORDS } from './control.ts';
import type { Job, Stage } from './types.ts';

/** No two threads write to one cache line. */
const LINE = 64;

/** Stages as one job: with scratch for the one that needs most, on as many threads as are worth it for one of them. */
export function jobOf(stages: readonly Stage[]): Job {
  let scratch = 0;
  let threads = 1;
  for (const stage of stages) {
    scratch = Math.max(scratch, stage.scratch);
    threads = Math.max(threads, Math.min(stage.threads, stage.tiles));
  }
  return { stages, scratch: roundUp(scratch, LINE), threads };
}

/** Bytes of the list that workers read, which begins behind the scratch: all stages but the first. */
export const listOf = ({ stages }: Job, threads: number): number => (threads > 1 ? 4 * STAGE_WORDS * (stages.length - 1) : 0);

/** Bytes that a job takes on as many threads. */
export const memoryOf = (job: Job, threads: number): number => job.scratch * threads + listOf(job, threads);
