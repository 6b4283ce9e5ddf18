import { proxy } from 'comlink';
import type { Tell } from '../../../ui/work.tsx';
import { inWorker } from '../in-worker.ts';
import type { Settings } from '../settings.ts';
import type { Api } from './compute.ts';
import type { ContestRow } from './run.ts';

/** A comparison, as far as it is. */
export interface ContestFound {
  readonly precision: string;
  readonly rows: readonly ContestRow[];
  /** Of onnxruntime-web, at its end. */
  readonly version?: string;
}

/** Compares in a worker; `show` gets what is there so far. */
export async function runContest(
  { threads, precision }: Settings,
  cases: readonly string[],
  signal: AbortSignal,
  show: (found: ContestFound) => void,
  tell: Tell,
): Promise<ContestFound> {
  let rows: readonly ContestRow[] = [];
  const folder = new URL('onnxruntime/', document.baseURI).href;
  const { version, rows: all } = await inWorker<Api, { version: string; rows: ContestRow[] }>('contest', signal, (api) =>
    api.run(
      { folder, threads, precision, cases },
      proxy(({ text, share, row }) => {
        if (signal.aborted) return;
        if (row) {
          rows = [...rows, row];
          show({ precision, rows });
        }
        tell(text, share);
      }),
    ),
  );
  const found = { precision, rows: all, version };
  show(found);
  return found;
}
