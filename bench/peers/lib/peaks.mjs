/** What one thread of this very engine can do at most, measured between the cases by relpos' own kernels (assembly/peak.ts); the largest counts. */
import { Peak, watch } from '../../../build/bench-kit.mjs';
import { work } from './cases.mjs';

/** Milliseconds that each peak is measured for, each time. */
const BUDGET_MS = 60;

/** Whose arithmetic a precision of relpos is; the other packages multiply and add in f32, rounded twice. */
const KINDS = { reproducible: 'mulAdd', relaxed: 'fused', int16: 'int16' };

const kindOf = ({ native, precision = 'reproducible' }) => (native ? undefined : KINDS[precision]);

/** @param kernels `{ plain, fused }`, each a function that gives the bytes */
export async function peaksOf(kernels) {
  const clock = await watch(() => performance.now());
  const peak = await Peak.of(kernels, { clock, budget: BUDGET_MS, signal: new AbortController().signal });
  const found = {};
  return {
    /** Thousand millions of operations a second of one thread: `{ mulAdd, fused, int16 }`. */
    found,
    async refresh() {
      for (const [name, rate] of Object.entries(await peak.arithmetic())) found[name] = Math.max(found[name] ?? 0, rate ?? 0) || null;
    },
    /** The share of the peak that a row has: of arithmetic what visible pairs need, of memory on one thread; null for native code. */
    async share({ peer, storage, rate, threads }, testCase) {
      const { amount, unit, traffic, part } = work(testCase, storage);
      const most = peer.native
        ? null
        : unit === 'GFLOP/s'
          ? found[kindOf(peer)] * threads
          : threads === 1 && (await peak.memory(traffic, amount));
      return most ? (rate * part) / most : null;
    },
  };
}
