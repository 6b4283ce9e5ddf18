// Scratch that a prepared call keeps from run to run.

import type { Scope } from '../memory/scope.ts';
import type { Job } from '../threads/types.ts';

/** Bytes that one call keeps. Jobs that need more have so much to do that taking it each time shows nowhere, and calls share it. */
const MOST = 1 << 18;

/** The jobs, which run one after another, with scratch that the scope holds. @throws RelposError `out-of-memory` */
export function withScratch(jobs: readonly Job[], scope: Scope): readonly Job[] {
  const bytes = Math.max(...jobs.map(({ scratch, threads }) => scratch * threads));
  if (!bytes || bytes > MOST) return jobs;
  const at = scope.allocate(bytes);
  return jobs.map((job) => ({ ...job, at }));
}
