/** Hostile values for every option of every public call, by the kind of the option: refused by name, with nothing changed. */
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, test } from 'vitest';
import * as relpos from '../../src/index.ts';
import { type Any, engine, optionNames, SUBJECTS, WITHOUT_OPTIONS } from './calls.ts';

afterAll(() => engine.dispose());

class Instance {
  readonly scale = 1;
}

/** Whatever is no plain object. */
const RECORDS: Readonly<Record<string, () => unknown>> = {
  null: () => null,
  number: () => 5,
  string: () => 'a',
  array: () => [],
  map: () => new Map(),
  promise: () => Promise.resolve({}),
  instance: () => new Instance(),
  inherited: () => Object.create({ offset: 1, left: 1, dim: 4 }),
  'unknown key': () => ({ nothingLikeIt: 1 }),
  'throwing proxy': () =>
    new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no keys');
        },
      },
    ),
};

const NUMBERS = { string: () => '1', null: () => null, NaN: () => Number.NaN, true: () => true, array: () => [1, 2], bigint: () => 1n };
const LISTS = {
  string: () => 'a',
  null: () => null,
  record: () => ({}),
  map: () => new Map(),
  strings: () => ['a', 'b'],
  undefined: () => [undefined],
  hole: () => new Array(3),
  NaN: () => [Number.NaN, 1],
  'nested arrays': () => [[1], [2]],
  bigints: () => [1n, 2n],
  'throwing element': () =>
    Object.defineProperty([1, 2], 0, {
      get() {
        throw new Error('no element');
      },
    }),
};

/** For each kind of option, values that are none. */
const KINDS: Readonly<Record<string, Readonly<Record<string, () => unknown>>>> = {
  number: NUMBERS,
  integer: { ...NUMBERS, fraction: () => 1.5 },
  flag: { number: () => 1, string: () => 'true', null: () => null, record: () => ({}) },
  choice: { number: () => 1, null: () => null, 'other word': () => 'nothingLikeIt', array: () => [], record: () => ({}) },
  text: { number: () => 1, null: () => null, record: () => ({}) },
  list: LISTS,
  'list or number': { ...LISTS, fraction: () => 1.5 },
  values: { string: () => 'a', null: () => null, strings: () => ['a'], record: () => ({}) },
  tensor: { number: () => 1, null: () => null, record: () => ({}), 'typed array': () => new Float32Array(4) },
  record: RECORDS,
  'record or flag': { ...RECORDS },
  function: { number: () => 1, null: () => null, record: () => ({}), string: () => 'x' },
  scheme: {
    number: () => 1,
    null: () => null,
    record: () => ({}),
    function: () => relpos.rotary,
    'of null': () => [null],
    hole: () => new Array(1),
  },
  cache: { number: () => 1, null: () => null, record: () => ({}), 'look-alike': () => ({ use: () => ({}) }) },
  signal: {
    null: () => null,
    'listener alone': () => ({ addEventListener() {} }),
    'no listener': () => ({ aborted: false }),
    controller: () => new AbortController(),
    'throwing getter': () => ({
      get aborted() {
        throw new Error('not yours');
      },
      addEventListener() {},
      removeEventListener() {},
    }),
  },
  logger: { null: () => null, record: () => ({}), 'no function': () => ({ warn: 1 }) },
  wasm: { null: () => null, number: () => 1, record: () => ({}), promise: () => Promise.resolve() },
  json: { bigint: () => 1n, function: () => () => 1 },
  frequencies: {
    null: () => null,
    number: () => 5,
    word: () => 'nothingLikeIt',
    strings: () => ['a'],
    record: () => ({ nothingLikeIt: 1 }),
  },
};

const split = (text: string): string[] => text.trim().split(/\s+/);

/** The kind of each option by its name; where calls differ, by `call.name`. An option without a row fails below. */
const ROWS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    number: `scale softcap theta base offset scaleBase center maxBias c threshold epsilon scalingFactor gridOffset rotateSync.offset
      maxMemory threads factor interval length queryScale.start`,
    integer: `keyOffset totalKeys queryOffset causalMask.offset left right dim headDim valueDim heads batch capacity pageSize size shards shardSize
      buckets maxDistance numBuckets maxRelativePositions positionBuckets positionBiasNumBuckets positionBiasMaxDistance segmentTypes relPosBins maxRelPos
      rel2dPosBins maxRel2dPos prefix exclude spatialMerge axes prefixTokens stride width start maxPositions distance.window direction.window`,
    flag: 'inverse batched repeatKeys temporal bidirectional logDistance divided steady',
    choice: 'layout layoutOut role rotate border side kind attnType arrangement dtype precision coordinates mode sense padding',
    text: 'name id',
    list: `keyLengths queryOffsets keyOffsets positions queryPositions queries keys values table weight bias weight1 bias1 weight2 bias2 weightP weightA
      posKey posQuery posAttType relPosH relPosW biasP biasA slopes segments relPosBias relPosXBias relPosYBias bbox attentionBiases logitScale u v r
      posBiasU posBiasV rWBias rRBias rSBias segEmbed gateWeight gateBias gateConst sections axisOrder referenceGrid querySize keySize layers rows
      append.lengths shape grids empty sinks axialRotary.grid logGates`,
    'list or number': 'windowSize pretrainedWindowSize resolution grid radius lengths queryLengths starts leftContext',
    values: 'input',
    tensor: 'out',
    record: 'window qkNorm shifted scaling shard planShards.queries',
    'record or flag': 'causal',
    function: 'intervals lower worker onProgress',
    scheme: 'encoding mask',
    cache: 'cache',
    signal: 'signal',
    logger: 'logger',
    wasm: 'wasm',
    json: 'meta',
    frequencies: 'frequencies',
  }).flatMap(([kind, names]) => split(names).map((name) => [name, kind])),
);

const OPTIONS = Object.entries(SUBJECTS).flatMap(([where, subject]) => optionNames(subject).map((name) => ({ where, name, subject })));
const rowOf = (where: string, name: string): string | undefined => ROWS[`${where}.${name}`] ?? ROWS[name];

/** What a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('nothing is forgotten:', () => {
  test('every public function that takes options is here', () => {
    const ofEngine = Object.getOwnPropertyNames(Object.getPrototypeOf(engine));
    const ofPackage = Object.keys(relpos).filter((name) => typeof (relpos as Any)[name] === 'function');
    const twins = (name: string): string[] => [name, `${name}Sync`];
    const known = [...Object.keys(SUBJECTS), ...WITHOUT_OPTIONS];
    expect([...ofEngine, ...ofPackage].filter((name) => !twins(name).some((each) => known.includes(each)))).toEqual([]);
  });

  test('every option has a row', () => {
    expect(OPTIONS.filter(({ where, name }) => rowOf(where, name) === undefined).map(({ where, name }) => `${where}.${name}`)).toEqual([]);
  });

  test('and every row an option', () => {
    const wanted = new Set(OPTIONS.flatMap(({ where, name }) => [name, `${where}.${name}`]));
    expect(Object.keys(ROWS).filter((row) => !wanted.has(row))).toEqual([]);
  });

  test.each(Object.keys(SUBJECTS))('the options of %s work', (where) => {
    const { call, base } = SUBJECTS[where] as (typeof SUBJECTS)[string];
    expect(thrown(() => call(base))).toBeUndefined();
  });
});

describe.each(OPTIONS)('$where, option $name', ({ where, name, subject: { call, base } }) => {
  const kind = rowOf(where, name) as string;

  test.each(Object.keys(KINDS[kind] ?? {}))(`as no ${kind}: %s`, (form) => {
    const { used } = engine.memoryUsage();
    const error = thrown(() => call({ ...base, [name]: KINDS[kind]?.[form]?.() })) as Error;
    expect([TypeError, RangeError]).toContain(error?.constructor);
    expect(error.message.startsWith(`${where}: `)).toBe(true);
    expect(error.message).toMatch(new RegExp(`"${name}["[. ]`));
    expect(engine.memoryUsage().used).toBe(used);
  });
});

describe.each(Object.keys(SUBJECTS))('the options of %s', (where) => {
  const { call, base } = SUBJECTS[where] as (typeof SUBJECTS)[string];

  test.each(Object.keys(RECORDS))('as %s are refused', (form) => {
    const { used } = engine.memoryUsage();
    const error = thrown(() => call(RECORDS[form]?.())) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message.startsWith(`${where}: "options" `)).toBe(true);
    expect(engine.memoryUsage().used).toBe(used);
  });

  test('are read once each, and a getter that throws is named', () => {
    const reads = new Map<string, number>();
    const watched = new Proxy(base, {
      get(target, key) {
        reads.set(String(key), (reads.get(String(key)) ?? 0) + 1);
        return Reflect.get(target, key);
      },
    });
    expect(thrown(() => call(watched))).toBeUndefined();
    const own = [...reads].filter(([key]) => Object.hasOwn(base, key));
    expect(own.map(([, count]) => count)).toEqual(Object.keys(base).map(() => 1));
    const [name] = optionNames({ call, base }) as [string];
    const throwing = Object.defineProperty({ ...base }, name, {
      enumerable: true,
      get() {
        throw new Error('not yours');
      },
    });
    expect(() => call(throwing)).toThrow(new TypeError(`${where}: "${name}" cannot be read: not yours`));
  });

  test('of another realm, or without a prototype, are taken', () => {
    expect(thrown(() => call(Object.assign(runInNewContext('({})'), base)))).toBeUndefined();
    expect(thrown(() => call(Object.assign(Object.create(null), base)))).toBeUndefined();
  });
});
