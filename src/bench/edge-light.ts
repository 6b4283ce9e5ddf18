/** `relpos/bench` for edge runtimes in the manner of Vercel, which forbid compiling bytes. Same names. */
import type { Engine } from '../engine.ts';
import { createEngine } from '../entries/edge-light.ts';
import plain from '../wasm/peak.wasm?module';
import fused from '../wasm/peak-fused.wasm?module';
import { type BenchEngines, type BenchOptions, benchWith, type OwnBench } from './bench.ts';
import type { BenchResult } from './result.ts';

export * from './names.ts';

const OWN: OwnBench = { createEngine, peak: { plain: () => plain, fused: () => fused } };

/** `bench` of `relpos/bench`. */
export async function bench(subject: Engine | BenchEngines = {}, options: BenchOptions = {}): Promise<BenchResult> {
  return benchWith(OWN, subject, options);
}
