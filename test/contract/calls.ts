/** Every public call that takes options, with options that it accepts: what the tables of hostile values are held against. */
import { recipes } from '../../src/encodings/generated/recipes.ts';
import { registry } from '../../src/encodings/registry.ts';
import * as relpos from '../../src/index.ts';
import { schemes } from '../conformance/schemes.ts';

// biome-ignore lint/suspicious/noExplicitAny: the tests give what the types forbid.
export type Any = any;

/** One call: how it is made with given options, and options with which it works. */
export interface Subject {
  readonly call: (options: Any) => unknown;
  readonly base: Readonly<Record<string, unknown>>;
}

export const engine: relpos.Engine = relpos.createEngineSync();

const x = engine.tensor(
  [2, 2, 3, 4],
  Float32Array.from({ length: 48 }, (_, n) => n / 48),
);
const rotary = relpos.rotary({ dim: 4, theta: 10000, layout: 'halves' });
const state = { out: engine.tensor([2, 2, 3, 4]), lse: engine.tensor([2, 2, 3]) };
const cache = engine.kvCache({ batch: 2, heads: 2, headDim: 4, capacity: 16 });
const arrays = { shape: [1, 1, 1, 2], out: Float32Array.of(1, 2), lse: Float32Array.of(0) };

/** What a scheme's constructor is given in its case of test/conformance, or in its recipe. */
export const schemeOptions: Readonly<Record<string, Readonly<Record<string, unknown>>>> = await collect();

async function collect(): Promise<Record<string, Record<string, unknown>>> {
  const found: Record<string, Record<string, unknown>> = {};
  const recording = new Proxy(relpos, {
    get(target, name: keyof typeof relpos) {
      const real = target[name] as (...given: unknown[]) => unknown;
      if (!registry.some((scheme) => scheme.name === name)) return real;
      return (...given: unknown[]) => {
        found[name] ??= given[0] as Record<string, unknown>;
        return real(...given);
      };
    },
  });
  const nothing = { attention: () => undefined, tensor: () => x } as unknown as relpos.Engine;
  for (const scheme of Object.values(schemes)) await scheme(recording, nothing);
  for (const [name, recipe] of Object.entries(recipes)) {
    const numbers = (shape: readonly number[]): Float32Array => new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(0.5);
    found[name] ??= recipe.options({ H: 1, L: 4, D: 4 }, { engine, table: numbers, weights: numbers }) as Record<string, unknown>;
  }
  found.kerple = { ...found.kerple, weightP: [1, 1, 1, 1], weightA: [1, 1, 1, 1] };
  return found;
}

/** Schemes whose first argument is not options. */
const OTHERS = ['bias', 'rotaryFromConfig'];

const ofSchemes = registry
  .filter(({ name }) => !OTHERS.includes(name))
  .map(({ name, make }): [string, Subject] => [name, { call: make as Subject['call'], base: schemeOptions[name] ?? {} }]);

const masks = { causalMask: {}, slidingWindow: {}, prefixLM: { lengths: 1 }, chunked: { size: 2 }, documents: { keys: [0, 0, 1] } };

/** By the name that errors call it. */
export const SUBJECTS: Readonly<Record<string, Subject>> = {
  attentionSync: { call: (options) => engine.attentionSync(x, x, x, options), base: {} },
  attentionPartialSync: { call: (options) => engine.attentionPartialSync(x, x, x, options), base: {} },
  attentionWeightsSync: { call: (options) => engine.attentionWeightsSync(x, x, options), base: {} },
  rotateSync: { call: (options) => engine.rotateSync(x, rotary, options), base: {} },
  mergeStatesSync: { call: (options) => engine.mergeStatesSync([state], options), base: {} },
  estimate: { call: (options) => engine.estimate({ q: [1, 1, 3, 4], k: [1, 1, 3, 4], v: [1, 1, 3, 4] }, options), base: {} },
  kvCache: { call: (options) => engine.kvCache(options), base: { batch: 1, heads: 1, headDim: 4, capacity: 8 } },
  append: { call: (options) => cache.append(x, x, options), base: {} },
  createEngineSync: { call: (options) => relpos.createEngineSync(options), base: {} },
  planShards: { call: (options) => relpos.planShards(options), base: { totalKeys: 8, shards: 2, queries: { start: 0, end: 1 } } },
  encodeState: { call: (options) => relpos.encodeState(arrays as Any, options), base: {} },
  collectStates: { call: (options) => relpos.collectStates([], 1, options), base: { empty: [0] } },
  sinusoids: { call: (options) => relpos.sinusoids(engine.math, 2, 4, options), base: {} },
  permuteForPairs: { call: (options) => relpos.permuteForPairs(Float32Array.of(0, 1, 2, 3), 1, 4, options), base: {} },
  defineMask: { call: (options) => relpos.defineMask(options), base: { name: 'mine', intervals: () => [] } },
  defineEncoding: { call: (options) => relpos.defineEncoding(options), base: { name: 'mine', lower: () => ({}) } },
  concatPositions: { call: (options) => relpos.concatPositions(options), base: { input: [1, 2], shape: [1, 1, 2], positions: [] } },
  mropePositions: { call: (options) => relpos.mropePositions(options), base: { rows: [[{ text: 2 }]] } },
  hunyuanPositions: { call: (options) => relpos.hunyuanPositions(options), base: { rows: [[{ text: 2 }]], axes: 4 } },
  visionPositions: { call: (options) => relpos.visionPositions(options), base: { grids: [[1, 2, 2]] } },
  neighbourhood: { call: (options) => relpos.neighbourhood(options), base: { grid: 4, radius: 1 } },
  keyPadding: { call: (options) => relpos.keyPadding(options), base: { lengths: 1 } },
  ...Object.fromEntries(Object.entries(masks).map(([name, base]) => [name, { call: (relpos as Any)[name], base }])),
  ...Object.fromEntries(ofSchemes),
};

/** Public functions that take no options, or have tests of their own for them. */
export const WITHOUT_OPTIONS: readonly string[] = [
  'capabilities',
  ...['RelposError', 'and', 'or', 'not', 'bias', 'decodeState', 'loadState', 'lowRank', 'alibiSlopes'],
  ...['attentionScale', 'rotaryFromConfig'],
  ...['constructor', 'math', 'tensor', 'memoryUsage', 'selfTest', 'dispose', 'capabilities', 'releaseTables'],
  // Asynchronous alone; they read their options as `attention` does, and test/prepared has the rest.
  ...['prepare', 'preparePartial'],
];

/** Names of the options of a call, from its own refusal of one that it does not have. */
export function optionNames({ call, base }: Subject): string[] {
  try {
    call({ ...base, nothingLikeIt: 1 });
  } catch (error) {
    const list = /"options" has no "nothingLikeIt"; it knows ([^:]*)/.exec((error as Error).message)?.[1];
    if (list !== undefined) return list.split(', ');
  }
  throw new Error('it takes an option that does not exist');
}
