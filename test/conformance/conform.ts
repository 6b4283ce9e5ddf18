/** Runs the cases in whatever runtime this is: no test framework, no import but its own; the package comes as an argument. */
import type { EngineOptions } from '../../src/index.ts';
import type { Package } from './call.ts';
import { cases } from './cases.ts';
import { encodingNames, type GoldenFile, type Make, runGolden } from './golden.ts';
import { hashBits } from './numbers.ts';
import { schemes } from './schemes.ts';

export { hashBits, numbers } from './numbers.ts';

/** What one run finds: the engine's capabilities and the hash of each case's output bits. */
export interface Findings {
  readonly capabilities: { readonly runtime: string; readonly version: string; readonly threads: number; readonly reason?: string };
  readonly hashes: Record<string, string>;
  /** Errors by the name of the case. */
  readonly failures: Record<string, string>;
  /** Milliseconds that the cases took by the host's own clock, the engine's start included. */
  readonly ms: number;
}

/** The package under test and what runs through it. */
export interface Subject {
  readonly relpos: Package;
  readonly golden: ReadonlyMap<string, GoldenFile>;
  /** Options of the engine beside the number of threads. */
  readonly options?: EngineOptions;
}

/** Runs every case and every golden file whose encodings the package has, on `threads` threads. */
export async function conform({ relpos, golden, options }: Subject, threads: number): Promise<Findings> {
  const began = Date.now();
  const make: Make = (name) => (relpos as unknown as Record<string, ReturnType<Make>>)[name];
  const engine = await relpos.createEngine({ ...options, threads, logger: { warn() {} } });
  const hashes: Record<string, string> = {};
  const failures: Record<string, string> = {};
  const attempt = async (name: string, run: () => Promise<string>): Promise<void> => {
    try {
      hashes[name] = await run();
    } catch (error) {
      failures[name] = String(error);
    }
  };
  await attempt('self-test', async () => (await engine.selfTest()).hash);
  const named = Object.entries(schemes).map(([name, run]) => [`scheme ${name}`, run] as const);
  for (const [name, run] of [...Object.entries(cases), ...named]) {
    await attempt(name, async () => {
      const outputs = await run(relpos, engine);
      return hashBits(...outputs.map((output) => ('toArray' in output ? output.toArray() : output)));
    });
  }
  for (const [name, file] of golden) {
    if (!encodingNames(file).every(make)) continue;
    await attempt(name, async () => hashBits(await runGolden(make, engine, file)));
  }
  const { capabilities } = engine;
  engine.dispose();
  return { capabilities, hashes, failures, ms: Date.now() - began };
}
