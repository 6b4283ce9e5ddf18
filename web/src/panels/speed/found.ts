import { proxy } from 'comlink';
import type { BenchResult, BenchRow } from 'relpos/bench';
import type { Tell } from '../../ui/work.tsx';
import { verdictOf } from './bits.ts';
import type { Api } from './compute.ts';
import type { ContestFound } from './contest/found.ts';
import { inWorker } from './in-worker.ts';
import reference from './reference.json';
import { type Precision, runOf, type Settings } from './settings.ts';

/** A run of the benchmark, as far as it is. */
export interface Found {
  readonly precision: Precision;
  readonly rows: readonly BenchRow[];
  /** At its end. */
  readonly result?: BenchResult;
}

/** Runs the benchmark in a worker; `show` gets what is there so far. */
export async function runBench(settings: Settings, signal: AbortSignal, show: (found: Found) => void, tell: Tell): Promise<BenchResult> {
  const options = runOf(settings);
  const { precision } = options;
  let rows: readonly BenchRow[] = [];
  show({ precision, rows });
  const result = await inWorker<Api, BenchResult>('speed', signal, (api) =>
    api.run(
      options,
      proxy(({ done, total, next, row }) => {
        if (signal.aborted) return;
        if (row) {
          rows = [...rows, row];
          show({ precision, rows });
        }
        tell(next ?? `${done} of ${total} rows`, done / total);
      }),
    ),
  );
  // Relaxed kernels that do not fuse here give the reproducible bits: the result says which these are.
  show({ precision: result.precision, rows: result.rows, result });
  return result;
}

/** What is copied: a result as `relpos bench --json` writes it, with what the page found beside it. */
export function exported({ result }: Partial<Found>, contest: ContestFound | undefined): object {
  return {
    ...result,
    ...(result && { reference: { ...reference, cases: undefined, says: verdictOf(result.rows, result.precision, reference.host).badge } }),
    ...(contest && { onnxruntime: contest }),
  };
}
