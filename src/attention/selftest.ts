// Does this host compute what every host must? Fixed inputs, a plain f64 evaluation, and the known bits. Loaded when it is asked; it imports
// types alone, since of what it shared with a page a bundler would make a chunk, which the page would load.

import type { RelposError } from '../arguments/errors.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Encoding } from '../plan/plan.ts';
import type { Precision } from '../wasm/variants.ts';
import type { AttentionOptions } from './options.ts';

/** What of an engine is tested. */
interface Tested {
  tensor(shape: readonly number[], data: Float32Array): Tensor;
  attention(q: Tensor, k: Tensor, v: Tensor, options?: AttentionOptions): Promise<Tensor>;
}

/** What `selfTest` found. */
export interface SelfTestReport {
  readonly passed: true;
  /** FNV-1a of the output bits, 8 hexadecimal digits. */
  readonly hash: string;
  /** Largest difference from the f64 evaluation of the first case. */
  readonly error: number;
}

/** The bits of a precision whose bits are the same everywhere. */
const HASHES: Readonly<Record<Precision, string | undefined>> = { reproducible: 'af95cecb', int16: 'c3379449', relaxed: undefined };
/** Far above rounding, far below any real defect: outputs are of order 1. */
const TOLERANCE = 1e-5;
const INT16_TOLERANCE = 1e-3;

/** Rotary embedding of 20 channels with a base of 10000. */
const ROTARY: Encoding = {
  name: 'rotary',
  lower: ({ math }) => ({
    rotation: { dim: 20, layout: 'halves', frequencies: Float64Array.from({ length: 10 }, (_, i) => math.pow(10000, -i / 10)) },
  }),
};

/** FNV-1a, 32 bits, over the bytes of an array. */
export function hashBits(data: Float32Array, seed = 0x811c9dc5): number {
  let hash = seed;
  for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** Numbers in [−1, 1) by a linear congruential generator; integer arithmetic, the same everywhere. */
export function testNumbers(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

/** Attention of one head without options, in f64, compared only with a tolerance. */
function plain(q: Float32Array, k: Float32Array, v: Float32Array, L: number, S: number, D: number): Float64Array {
  const out = new Float64Array(L * D);
  for (let i = 0; i < L; i++) {
    const weights = Array.from({ length: S }, (_, j) => {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += (q[i * D + d] as number) * (k[j * D + d] as number);
      return Math.exp(dot / Math.sqrt(D));
    });
    const sum = weights.reduce((a, b) => a + b, 0);
    for (let j = 0; j < S; j++)
      for (let d = 0; d < D; d++) out[i * D + d] = (out[i * D + d] as number) + ((weights[j] as number) / sum) * (v[j * D + d] as number);
  }
  return out;
}

/** Of the package, what the test needs and does not import. */
interface Needed {
  readonly Failure: typeof RelposError;
  /** Makes an encoding one of the package's own. */
  known(encoding: Encoding): Encoding;
}

/** @throws RelposError if the host computes wrongly */
export async function selfTest(engine: Tested, precision: Precision, { Failure, known }: Needed): Promise<SelfTestReport> {
  const [L, S, D] = [37, 131, 20];
  const data = { q: testNumbers(L * D, 1), k: testNumbers(S * D, 2), v: testNumbers(S * D, 3) };
  const held: Tensor[] = [];
  const own = (tensor: Tensor): Tensor => {
    held.push(tensor);
    return tensor;
  };
  let outputs: Float32Array[];
  try {
    const q = own(engine.tensor([1, 1, L, D], data.q));
    const k = own(engine.tensor([1, 1, S, D], data.k));
    const v = own(engine.tensor([1, 1, S, D], data.v));
    const first = own(await engine.attention(q, k, v));
    const mask = own(engine.tensor([L, S], testNumbers(L * S, 4)));
    const second = own(await engine.attention(q, k, v, { encoding: known(ROTARY), mask, causal: true, softcap: 5 }));
    outputs = [first.toArray(), second.toArray()];
  } finally {
    for (const tensor of held) tensor.dispose();
  }
  const reference = plain(data.q, data.k, data.v, L, S, D);
  const error = reference.reduce((worst, x, n) => Math.max(worst, Math.abs(x - (outputs[0]?.[n] as number))), 0);
  const hash = outputs
    .reduce((seed, output) => hashBits(output, seed), 0x811c9dc5)
    .toString(16)
    .padStart(8, '0');
  if (!(error < (precision === 'int16' ? INT16_TOLERANCE : TOLERANCE)))
    throw new Failure('kernel-trap', `self-test: the kernels are off by ${error} from an f64 evaluation`);
  const right = HASHES[precision];
  if (right && hash !== right) throw new Failure('kernel-trap', `self-test: the output bits hash to ${hash}, not to ${right}`);
  return { passed: true, hash, error };
}
