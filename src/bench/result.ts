/** What a benchmark finds: plain data, as `relpos bench --json` writes it and `--compare` and `relpos report` read it. */
import type { BenchHost } from './host.ts';

/** Whose arithmetic a result is of. */
export type BenchPrecision = 'reproducible' | 'relaxed' | 'int16';

/** One case on one number of threads. */
export interface BenchRow {
  readonly case: string;
  readonly threads: number;
  readonly unit: 'GFLOP/s' | 'GB/s';
  /** What one call counts as, in operations or bytes. */
  readonly work: number;
  /** Median of the samples, in milliseconds a call; null where the clock stands still, or the output is wrong. */
  readonly ms: number | null;
  /** Median absolute deviation of the samples. */
  readonly mad: number | null;
  readonly samples: number;
  /** Calls in a sample. */
  readonly calls: number;
  /** Thousand millions a second, of `unit`. */
  readonly rate: number | null;
  /** Of the peak: operations of visible pairs against `threads` times one thread's arithmetic; bytes against one thread's memory. */
  readonly share: number | null;
  /** Largest difference from the f64 evaluation. */
  readonly error: number;
  /** FNV-1a of the output's bits, 8 hexadecimal digits. */
  readonly hash: string;
  /** What is wrong, in words; missing if nothing is. */
  readonly failure?: string;
}

/** A run of the benchmark. */
export interface BenchResult {
  readonly format: 'relpos-bench';
  /** The package's version. */
  readonly relpos: string;
  readonly date: string;
  readonly host: BenchHost;
  /** Of the kernels that ran: `'relaxed'` only where the host fuses, and then the bits are this host's own; those of the others are everybody's. */
  readonly precision: BenchPrecision;
  readonly quick: boolean;
  /** The engines: threads asked for, had, and why they are fewer. */
  readonly engines: readonly { readonly asked: number; readonly threads: number; readonly reason?: string }[];
  /** The clock's smallest step in milliseconds, and whether it moves while code runs; `why` there are no times, if there are none. */
  readonly clock: { readonly kind: 'runs' | 'between events' | 'stands still'; readonly resolution: number; readonly why?: string };
  /**
   * One thread's arithmetic, in GFLOP/s: products and sums in f32, the same rounded once, and of 16-bit integers; null where it cannot be measured,
   * and `why`. Results of 0.1.0 have no `int16`.
   */
  readonly peak: { readonly mulAdd: number | null; readonly fused: number | null; readonly int16?: number | null; readonly why?: string };
  readonly rows: readonly BenchRow[];
  /** One hash of all cases: equal in every runtime that ran the same cases in reproducible precision. */
  readonly hash: string;
}
