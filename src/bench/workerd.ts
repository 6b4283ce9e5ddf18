/** `relpos/bench` for workerd, which forbids compiling bytes. Same names. */
import type { Engine } from '../engine.ts';
import { createEngine } from '../entries/workerd.ts';
import plain from '../wasm/peak.wasm';
import fused from '../wasm/peak-fused.wasm';
import { type BenchEngines, type BenchOptions, benchWith, type OwnBench } from './bench.ts';
import type { BenchResult } from './result.ts';

export * from './names.ts';

const OWN: OwnBench = { createEngine, peak: { plain: () => plain, fused: () => fused } };

/** `bench` of `relpos/bench`. */
export async function bench(subject: Engine | BenchEngines = {}, options: BenchOptions = {}): Promise<BenchResult> {
  return benchWith(OWN, subject, options);
}
