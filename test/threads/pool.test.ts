import { Worker } from 'node:worker_threads';
import { describe, test } from 'vitest';
import { workerSource } from '../../src/wasm/generated/worker-source.ts';
import { compileKernels } from './kernels.ts';
import { cases } from './suite.ts';

const module = await WebAssembly.compile(await compileKernels());
const spawn = (): Worker => new Worker(workerSource, { eval: true });

describe('pool', () => {
  const lab = { module, jobs: 2000, blocks: true, interrupts: true, spawn };
  for (const [name, run] of Object.entries(cases)) test(name, { timeout: 60_000 }, () => run(lab));
});
