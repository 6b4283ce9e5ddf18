// The benchmark, in a worker: the page stays free, and a stop ends the worker.

import { createEngine } from 'relpos';
import { type BenchProgress, type BenchResult, bench } from 'relpos/bench';
import type { Device } from './device.ts';
import type { Run } from './settings.ts';

const quiet = { warn(): void {} };

export const api = {
  /** What an engine gets here. */
  async device(): Promise<Device> {
    const engine = await createEngine({ threads: 'auto', logger: quiet });
    const { simd, threads, requestedThreads, reason } = engine.capabilities;
    engine.dispose();
    const relaxed = await createEngine({ threads: 1, precision: 'relaxed', logger: quiet });
    const { relaxedSimd, reason: unfused } = relaxed.capabilities;
    relaxed.dispose();
    return { simd, threads, requested: requestedThreads, reason, fused: relaxedSimd, unfused };
  },

  /** Runs cases of `relpos bench`. */
  run({ threads, precision, quick, only }: Run, onProgress: (progress: BenchProgress) => void): Promise<BenchResult> {
    const tell = (progress: BenchProgress): void => void onProgress(progress);
    return bench({ threads, precision }, { quick, ...(only !== undefined && { only }), onProgress: tell });
  },
};

export type Api = typeof api;
