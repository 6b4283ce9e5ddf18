/** `relpos/bench`: the benchmark that `relpos bench` runs, for pages, workers and handlers too. Importing it does nothing. */
import type { Engine } from '../engine.ts';
import { createEngine } from '../entries/inlined.ts';
import { type BenchEngines, type BenchOptions, benchWith, type OwnBench } from './bench.ts';
import { fusedBytes, plainBytes } from './generated/peak.ts';
import type { BenchResult } from './result.ts';

export * from './names.ts';

const decoded = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

const OWN: OwnBench = { createEngine, peak: { plain: () => decoded(plainBytes), fused: () => decoded(fusedBytes) } };

/**
 * Times this engine on this host: attention, a causal mask, prefill, decoding from a cache, rotation, and several schemes. Each output is
 * first compared with a plain f64 evaluation, then timed, and hashed: in reproducible precision equal hashes mean equal bits. A case whose
 * output is wrong is not timed; its row says what is wrong.
 *
 * Where the clock stands still while code runs, there are no times, and `clock.why` says so; see the option `calls`.
 *
 * @param subject an engine, or what engines to make: one of one thread and one of all, if nothing is said
 * @throws TypeError, RangeError if an option is wrong; the signal's reason once it is aborted
 * @example
 * ```ts
 * import { bench } from 'relpos/bench';
 *
 * const result = await bench({ threads: 1 }, { quick: true, only: 'rotary/512' });
 * for (const { case: id, rate, unit, hash } of result.rows) console.log(id, rate, unit, hash);
 * ```
 */
export async function bench(subject: Engine | BenchEngines = {}, options: BenchOptions = {}): Promise<BenchResult> {
  return benchWith(OWN, subject, options);
}
