import { Worker } from 'node:worker_threads';
import { describe, test } from 'vitest';
import { workerSource } from '../../src/wasm/generated/worker-source.ts';
import { compileChain, compileKernels } from './kernels.ts';
import { cases } from './suite.ts';

const module = await WebAssembly.compile(await compileKernels());
const chain = await WebAssembly.compile(await compileChain());
const spawn = (prelude: string): Worker => new Worker(`${prelude}\n${workerSource}`, { eval: true });

describe('pool', () => {
  const lab = { module, chain, jobs: 2000, blocks: true, interrupts: true, confirms: true, tellsBlocked: true, spawn };
  for (const [name, run] of Object.entries(cases)) test(name, { timeout: 60_000 }, () => run(lab));
});
