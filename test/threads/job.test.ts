/** Stages as one job. */
import { expect, test } from 'vitest';
import { jobOf, memoryOf } from '../../src/threads/job.ts';
import type { Stage } from '../../src/threads/types.ts';

const stage = (tiles: number, threads: number, scratch: number): Stage => ({ kernel: 'any', job: 64, tiles, threads, scratch });

test('a job has the scratch of its neediest stage, in whole cache lines, and the threads of its widest', () => {
  const stages = [stage(9, 2, 100), stage(3, 8, 700), stage(1, 8, 0)];
  expect(jobOf(stages)).toEqual({ stages, scratch: 704, threads: 3 });
  expect(jobOf([stage(4, 1, 0)])).toMatchObject({ scratch: 0, threads: 1 });
  expect(jobOf([])).toEqual({ stages: [], scratch: 0, threads: 1 });
});

test('its memory is scratch for each thread and, for workers, sixteen bytes for each stage but the first', () => {
  const job = jobOf([stage(9, 2, 100), stage(3, 8, 700), stage(1, 8, 0)]);
  expect(memoryOf(job, 1)).toBe(704);
  expect(memoryOf(job, 3)).toBe(3 * 704 + 32);
  expect(memoryOf(jobOf([stage(4, 4, 64)]), 4)).toBe(256);
  expect(memoryOf(jobOf([]), 1)).toBe(0);
});
