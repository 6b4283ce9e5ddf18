/** Runs the cases in whatever runtime this is: no test framework, no import but its own; the package comes as an argument. */
import type { EngineOptions } from '../../src/index.ts';
import type { Case, Engine, Outputs, Package } from './call.ts';
import { cases } from './cases.ts';
import { encodingNames, type GoldenFile, type Make, runGolden } from './golden.ts';
import { layerCases, type MakeLayers } from './layers.ts';
import { hashModel, type Loaders, modelCases, type SourceOf } from './models.ts';
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
  /** `createLayers` of relpos/nn. */
  readonly createLayers: MakeLayers;
  /** Of relpos/models. */
  readonly loaders: Loaders;
  /** Where the checkpoints of models lie. */
  readonly sourceOf: SourceOf;
  readonly golden: ReadonlyMap<string, GoldenFile>;
  /** Options of the engine beside the number of threads. */
  readonly options?: EngineOptions;
  /** The kernels of `'int16'`, where they have to be passed. */
  readonly int16?: () => NonNullable<EngineOptions['wasm']>;
}

/** Cases that run under `'int16'` too: what its own kernels do. The rest of a call is the same code in all. */
export const INT16: readonly string[] = [
  'plain',
  'causal',
  'causal, rows without keys',
  'causal window',
  'softcap',
  'sinks',
  'key lengths',
  'grouped heads',
  'f16',
  'D 1, E 3',
  'D 512, E 512',
  'D 65, E 20',
  'one query of many keys',
  'NaN and infinities',
  'shards, merged',
  'everything',
];
/** Of the golden files, every so many. */
const GOLDENS = 8;

/** The numbers of an output. */
const bitsOf = (output: Outputs[number]): Float32Array | Float64Array => ('toArray' in output ? output.toArray() : output);

/** Runs every case, every model, and every golden file whose encodings the package has, on `threads` threads. */
export async function conform(
  { relpos, createLayers, loaders, sourceOf, golden, options, int16 }: Subject,
  threads: number,
): Promise<Findings> {
  const began = Date.now();
  const make: Make = (name) => (relpos as unknown as Record<string, ReturnType<Make>>)[name];
  const engineOf = (given?: EngineOptions): Promise<Engine> =>
    relpos.createEngine({ ...options, ...given, threads, logger: { warn() {} } });
  const engine = await engineOf();
  const hashes: Record<string, string> = {};
  const failures: Record<string, string> = {};
  const attempt = async (name: string, run: () => Promise<string>): Promise<void> => {
    try {
      hashes[name] = await run();
    } catch (error) {
      failures[name] = String(error);
    }
  };
  type Named<T> = readonly (readonly [string, T])[];
  const runAll = async (engine: Engine, prefix: string, listed: Named<Case>, files: Named<GoldenFile>): Promise<void> => {
    await attempt(`${prefix}self-test`, async () => (await engine.selfTest()).hash);
    for (const [name, run] of listed) {
      await attempt(prefix + name, async () => {
        const outputs = await run(relpos, engine);
        return hashBits(...outputs.map(bitsOf));
      });
    }
    for (const [name, file] of files) {
      if (!encodingNames(file).every(make)) continue;
      await attempt(prefix + name, async () => hashBits(await runGolden(make, engine, file)));
    }
  };
  const named = Object.entries(schemes).map(([name, run]) => [`scheme ${name}`, run] as const);
  const files = [...golden].sort(([a], [b]) => (a < b ? -1 : 1));
  await runAll(engine, '', [...Object.entries(cases), ...named], files);
  await attempt('layers', async () => {
    const nn = await createLayers(engine);
    for (const [name, run] of Object.entries(layerCases)) {
      await attempt(`layers: ${name}`, async () => hashBits(...run(nn, engine, relpos).map((output) => bitsOf(output))));
    }
    return 'ran';
  });
  for (const [name, each] of Object.entries(modelCases)) {
    await attempt(`model: ${name}`, () => hashModel(each, loaders, engine, sourceOf));
  }
  const { capabilities } = engine;
  engine.dispose();
  await attempt('int16', async () => {
    const integers = await engineOf({ precision: 'int16', ...(int16 && { wasm: int16() }) });
    if (integers.capabilities.threads !== capabilities.threads) throw new Error(`on ${integers.capabilities.threads} threads`);
    const some = files.filter((_, n) => n % GOLDENS === 0);
    await runAll(
      integers,
      'int16: ',
      Object.entries(cases).filter(([name]) => INT16.includes(name)),
      some,
    );
    integers.dispose();
    return 'ran';
  });
  return { capabilities, hashes, failures, ms: Date.now() - began };
}
