/** The suite without a test runner, for other runtimes and pages: `run(base64)` gives a line for each case. */
import type { WorkerLike } from '../../src/platform/handle.ts';
import { builtinModule, mayBlock, runtime } from '../../src/platform/host.ts';
import { canShareMemory } from '../../src/platform/sharing.ts';
import { workerSource } from '../../src/wasm/generated/worker-source.ts';
import { cases } from './suite.ts';

type NodeWorker = new (source: string, options: { eval: true }) => WorkerLike;

function spawn(): WorkerLike {
  const NodeWorker = builtinModule<{ Worker: NodeWorker }>('node:worker_threads')?.Worker;
  return NodeWorker ? new NodeWorker(workerSource, { eval: true }) : new Worker(URL.createObjectURL(new Blob([workerSource])));
}

/** Runs all cases; the first line says where. Lines that begin with `FAILED` are failures. */
export async function run(base64: string, jobs: number): Promise<string[]> {
  const sharing = canShareMemory();
  const lines = [`${runtime().name} ${runtime().version}, ${sharing.ok ? 'shares memory' : sharing.reason}`];
  if (!sharing.ok) return lines;
  const module = await WebAssembly.compile(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
  for (const [name, test] of Object.entries(cases)) {
    const began = performance.now();
    const failure = await test({ module, jobs, blocks: mayBlock(), interrupts: runtime().name === 'node', spawn }).then(
      () => '',
      (error: unknown) => `FAILED ${String(error)}: `,
    );
    lines.push(`${failure}${name} (${Math.round(performance.now() - began)} ms)`);
  }
  return lines;
}

Object.assign(globalThis, { relposThreads: run });
