/** The suite without a test runner, for other runtimes and pages; it puts `relposThreads` among the globals. */
import type { WorkerLike } from '../../src/platform/handle.ts';
import { builtinModule, mayBlock, runtime } from '../../src/platform/host.ts';
import { canShareMemory } from '../../src/platform/sharing.ts';
import { workerSource } from '../../src/wasm/generated/worker-source.ts';
import { createRig } from './rig.ts';
import { cases } from './suite.ts';

type NodeWorker = new (source: string, options: { eval: true }) => WorkerLike;

function spawn(prelude: string): WorkerLike {
  const source = `${prelude}\n${workerSource}`;
  const NodeWorker = builtinModule<{ Worker: NodeWorker }>('node:worker_threads')?.Worker;
  return NodeWorker ? new NodeWorker(source, { eval: true }) : new Worker(URL.createObjectURL(new Blob([source])));
}

const compile = (base64: string): Promise<WebAssembly.Module> =>
  WebAssembly.compile(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));

/** Runs all cases, or those whose name has `only` in it; the first line says where. Lines that begin with `FAILED` are failures. */
async function run(base64: string, chainBase64: string, jobs: number, only = ''): Promise<string[]> {
  const sharing = canShareMemory();
  const lines = [`${runtime().name} ${runtime().version}, ${sharing.ok ? 'shares memory' : sharing.reason}`];
  if (!sharing.ok) return lines;
  const { name: host } = runtime();
  const node = host === 'node';
  // WebKit, like Bun, lets a tile run to its end and says so then.
  const confirms = node || host === 'browser' || host === 'bun';
  const interrupts = node || (host === 'browser' && !runtime().version.startsWith('Version/'));
  const [module, chain] = [await compile(base64), await compile(chainBase64)];
  const lab = { module, chain, jobs, blocks: mayBlock(), interrupts, confirms, tellsBlocked: node, spawn };
  for (const [name, test] of Object.entries(cases).filter(([name]) => name.includes(only))) {
    // In a browser `close()` lets the running script go on.
    if (host === 'browser' && test === cases['a worker that ends itself']) continue;
    const began = performance.now();
    const failure = await test(lab).then(
      () => '',
      (error: unknown) => `FAILED ${String(error)}: `,
    );
    lines.push(`${failure}${name} (${Math.round(performance.now() - began)} ms)`);
  }
  return lines;
}

/** Starts a pool of two threads and says how that went. */
async function start(base64: string, worker?: () => WorkerLike): Promise<string[]> {
  const { pool, reason } = await createRig(await compile(base64), 2, worker && { worker });
  return [`${pool.threads} thread${pool.threads > 1 ? 's' : ''}${reason === undefined ? '' : `: ${reason}`}`];
}

Object.assign(globalThis, { relposThreads: { run, start } });
