// Scratch that a prepared call keeps from run to run.

import type { Scope } from '../memory/scope.ts';
import type { Job, Stage } from '../threads/types.ts';
import type { StepKit } from './kit.ts';

/** Bytes that one call keeps. Jobs that need more have so much to do that taking it each time shows nowhere, and calls share it. */
const MOST = 1 << 18;

/** The stages as one job, with memory that the scope holds. @throws RelposError `out-of-memory` */
export function withScratch(stages: readonly Stage[], scope: Scope, { jobOf, memoryOf }: StepKit): Job {
  const job = jobOf(stages);
  const bytes = memoryOf(job, job.threads);
  return bytes > 0 && bytes <= MOST ? { ...job, at: scope.allocate(bytes) } : job;
}

/** The job of a run after the first, which finds its tables filled. */
export function filled(job: Job, { jobOf }: StepKit): Job {
  return { ...job, ...jobOf(job.stages.filter(({ kernel }) => kernel !== 'rotaryTable')) };
}
