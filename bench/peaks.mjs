/** What one thread of this very engine can do at most, measured beside the cases by the kernels of assembly/peak.ts; the largest counts. */
import { Peak, watch } from '../build/bench-kit.mjs';

/** Milliseconds that each peak is measured for, each time. */
const BUDGET_MS = 60;

/** Which peak the arithmetic of a precision is a share of. */
export const PEAK_OF = { reproducible: 'mulAdd', relaxed: 'fused', int16: 'int16' };

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
    /**
     * The share of the peak that a rate is: of as many threads' arithmetic what visible pairs need, or of one thread's memory; null where there is
     * no such peak.
     *
     * @param work `{ unit, part, traffic, bytes }`: the part that has to be done, or what bytes are for and how many they are
     * @param rate thousand millions a second
     * @param kind name of a peak of arithmetic; undefined for code that is not this engine's
     */
    async share({ unit, part, traffic, bytes }, rate, threads, kind) {
      if (kind === undefined) return null;
      if (unit === 'GFLOP/s') return found[kind] ? (rate * part) / (found[kind] * threads) : null;
      const most = threads === 1 ? await peak.memory(traffic, bytes) : null;
      return most ? rate / most : null;
    },
  };
}
