// The names that every entry of `relpos/bench` has, besides `bench`.

export { type BenchEngines, type BenchOptions, type BenchProgress, benchCases } from './bench.ts';
export type { BenchHost } from './host.ts';
export type { BenchPrecision, BenchResult, BenchRow } from './result.ts';
