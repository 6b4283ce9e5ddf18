import { afterAll, describe, expect, test } from 'vitest';
import { registry } from '../../src/encodings/registry.ts';
import {
  alibi,
  beit,
  cpmAnt,
  createEngineSync,
  deberta,
  decomposed,
  fire,
  kerple,
  layoutLMv3,
  levit,
  maxvit,
  mpnet,
  relPosMlp,
  rotary,
  sandwich,
  swin,
  swinV2,
  t5,
  wavlm,
  xlnet,
} from '../../src/index.ts';
import { Tensor } from '../../src/memory/tensor.ts';
import { type Make, numbersOf, runGolden } from '../conformance/golden.ts';
import { golden } from '../goldens.ts';
import { distance } from '../reference/tolerance.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** What becomes of the tables before a constructor sees them. */
const FORMS: Record<string, (value: unknown) => unknown> = {
  'typed arrays': (value) => (value instanceof Tensor && value.shape.length < 4 ? value.toArray() : value),
  'plain arrays': (value) => (value instanceof Int32Array ? [...value] : value),
  'i32 tensors': (value) => (value instanceof Int32Array ? engine.tensor([value.length], value, 'i32') : value),
  'whole numbers as floats': (value) => (value instanceof Int32Array ? Float32Array.from(value) : value),
};

describe.each(Object.keys(FORMS))('tables as %s', (form) => {
  const files = ['t5_encoder', 'mpnet', 'layoutlmv3', 'cpmant', 'wavlm', 'swin', 'swinv2', 'beit', 'levit', 'maxvit', 'falcon'];

  test.each(files)('%s', async (name) => {
    const file = golden(name);
    const make: Make = (scheme) => (options) => {
      const entries = Object.entries(options).map(([key, value]) => [key, (FORMS[form] as (value: unknown) => unknown)(value)]);
      return registry.find((entry) => entry.name === scheme)?.make(Object.fromEntries(entries)) as ReturnType<(typeof registry)[0]['make']>;
    };
    const out = await runGolden(make, engine, file);
    expect(distance(out, numbersOf(file, 'expected'))).toBeLessThanOrEqual(2 * Number(file.metadata.naive_error));
  });
});

const table = new Float32Array(32 * 2);
const boxes = {
  relPosBins: 32,
  maxRelPos: 128,
  rel2dPosBins: 32,
  maxRel2dPos: 256,
  relPosBias: table,
  relPosXBias: table,
  relPosYBias: table,
};
const mlp = { weight1: new Float32Array(8), bias1: new Float32Array(4), weight2: new Float32Array(8), bias2: new Float32Array(2) };
const gate = { gateWeight: new Float32Array(32), gateBias: new Float32Array(8), gateConst: new Float32Array(2) };
const wave = { heads: 2, numBuckets: 32, maxDistance: 800, table, ...gate };

test.each<[string, () => unknown, RegExp]>([
  ['alibi: slopes of another number', () => alibi({ heads: 2, slopes: [1] }), /alibi: "slopes" expected heads=2 numbers, got 1/],
  ['alibi: maxBias 0', () => alibi({ heads: 2, maxBias: 0 }), /alibi: "maxBias" expected a finite number > 0, got 0/],
  ['mpnet: a table of 31', () => mpnet({ heads: 2, table: new Float32Array(62) }), /mpnet: "table" expected \[32, 2\], 64 numbers, got 62/],
  [
    't5: a factor alone',
    () => t5({ heads: 2, buckets: 32, maxDistance: 128, bidirectional: true, table, scalingFactor: 2 }),
    /"positions"/,
  ],
  [
    't5: a short reach',
    () => t5({ heads: 2, buckets: 32, maxDistance: 8, bidirectional: true, table }),
    /"maxDistance" expected an integer ≥ 9/,
  ],
  [
    't5: a coordinate that is none',
    () => t5({ heads: 2, buckets: 32, maxDistance: 128, bidirectional: true, table, positions: [0, Number.NaN] }),
    /"positions\[1\]"/,
  ],
  [
    'layoutLMv3: half a box',
    () => layoutLMv3({ heads: 2, ...boxes, bbox: [1, 2] }),
    /"bbox" expected \[S, 4\] or \[B, S, 4\] numbers, got 2/,
  ],
  ['layoutLMv3: half a pixel', () => layoutLMv3({ heads: 2, ...boxes, bbox: [1, 2, 3, 4.5] }), /"bbox\[3\]" expected an integer/],
  [
    'layoutLMv3: a table of one head',
    () => layoutLMv3({ heads: 1, ...boxes, bbox: [] }),
    /"relPosBias" expected \[32, 1\], 32 numbers, got 64/,
  ],
  [
    'cpmAnt: a segment too many',
    () => cpmAnt({ heads: 2, positionBiasNumBuckets: 23, positionBiasMaxDistance: 40, segmentTypes: 3, table, segments: [3] }),
    /"segments\[0\]" expected an integer in 0 … 2, got 3/,
  ],
  ['wavlm: no input', () => wavlm({ ...wave, input: [1] as never }), /wavlm: "input" expected a Float32Array or a tensor, got \[1\]/],
  [
    'wavlm: a gate of seven',
    () => wavlm({ ...wave, input: table, gateWeight: new Float32Array(7) }),
    /"gateWeight" expected \[8, w\] numbers, got 7/,
  ],
  ['kerple: a third kind', () => kerple({ heads: 1, kind: 'sum' as never, biasP: [1], biasA: [1] }), /"kind" expected 'log' or 'power'/],
  [
    'kerple: a parameter short',
    () => kerple({ heads: 2, kind: 'log', biasP: [1], biasA: [1, 1] }),
    /"biasP" expected heads=2 numbers, got 1/,
  ],
  ['sandwich: an odd width', () => sandwich({ heads: 2, width: 5 }), /"width" expected an even number, got 5/],
  [
    'fire: no threshold',
    () => fire({ ...mlp, weight1: new Float32Array(4), c: 0.1 } as never),
    /fire: "threshold" expected a number, got undefined/,
  ],
  [
    'fire: a weight short',
    () => fire({ ...mlp, weight1: new Float32Array(3), c: 0.1, threshold: 8 }),
    /"bias1" expected \[3\], 3 numbers, got 4/,
  ],
  [
    'swin: a table of no window',
    () => swin({ windowSize: 2, table: new Float32Array(8) }),
    /"table" expected \[9, heads\], a multiple of 9 numbers, got 8/,
  ],
  [
    'swin: an image of half windows',
    () => swin({ windowSize: 4, table: new Float32Array(49), shifted: { imageSize: [8, 6] } }),
    /"shifted.imageSize" expected multiples of the window \[4, 4\], got \[8, 6\]/,
  ],
  ['swin: three axes', () => swin({ windowSize: [1, 2, 3] as never, table }), /"windowSize" expected \[rows, columns\]/],
  [
    'swinV2: a factor short',
    () => swinV2({ windowSize: 2, ...mlp, bias2: undefined, logitScale: [1] } as never),
    /"options" has no "bias2"/,
  ],
  [
    'swinV2: factors of another number',
    () => swinV2({ windowSize: 2, weight1: mlp.weight1, bias1: mlp.bias1, weight2: mlp.weight2, logitScale: [1] }),
    /"logitScale" expected \[heads=2\] numbers, got 1/,
  ],
  ['beit: no rows for the class', () => beit({ windowSize: 2, table: new Float32Array(9) }), /"table" expected \[12, heads\]/],
  [
    'levit: a stride of 0',
    () => levit({ resolution: 2, attentionBiases: new Float32Array(4), stride: 0 }),
    /"stride" expected an integer in 1/,
  ],
  [
    'maxvit: nothing',
    () => maxvit({ windowSize: 2, table: undefined as never }),
    /"table" expected a Float32Array, an array or a tensor of \[heads, 9\]/,
  ],
  [
    'relPosMlp: a last bias in mode swin',
    () => relPosMlp({ windowSize: 2, ...mlp, bias2: [0, 0], mode: 'swin' }),
    /"bias2" expected nothing in mode 'swin'/,
  ],
  [
    'relPosMlp: a trained window in mode cr',
    () => relPosMlp({ windowSize: 2, ...mlp, bias2: [0, 0], pretrainedWindowSize: 4 }),
    /"pretrainedWindowSize" expected nothing in mode 'cr', got 4/,
  ],
  [
    'relPosMlp: a mode there is not',
    () => relPosMlp({ windowSize: 2, ...mlp, mode: 'rw' as never }),
    /"mode" expected 'cr' or 'swin', got "rw"/,
  ],
  [
    'rotary: a sense there is not',
    () => rotary({ dim: 4, theta: 9, layout: 'pairs', sense: -1 as never }),
    /"sense" expected 'forward' or 'backward', got -1/,
  ],
  [
    'xlnet: segments that are no integers',
    () => xlnet({ rWBias: [0], rRBias: [0], r: [0, 0], attnType: 'uni', rSBias: [0], segEmbed: [0, 0], segments: [0.5] }),
    /"segments\[0\]" expected an integer/,
  ],
  ['relPosMlp: no last bias', () => relPosMlp({ windowSize: 2, ...mlp, bias2: undefined as never }), /"bias2"/],
])('%s is refused', (_, make, message) => {
  expect(make).toThrow(message);
});

test.each<[string, () => { lower: unknown }, number[], RegExp]>([
  [
    'a grid without its class token',
    () => decomposed({ querySize: [2, 2], relPosH: new Float32Array(24), relPosW: new Float32Array(24), prefixTokens: 1 }),
    [1, 1, 4, 8],
    /decomposed: "querySize" expected a grid of L=4, got 1 \+ 2×2/,
  ],
  [
    'one bucket, of which there is no half',
    () => deberta({ maxRelativePositions: 8, positionBuckets: 1, posAttType: ['c2p'], posKey: new Float32Array(2 * 8) }),
    [1, 1, 5, 8],
    /deberta: "positionBuckets" expected more than 1, got 1/,
  ],
  [
    'rows of fewer distances than there are',
    () => deberta({ maxRelativePositions: 8, posAttType: ['c2p'], posKey: new Float32Array(2 * 4 * 8) }),
    [1, 1, 5, 8],
    /deberta: "posKey" expected \[2·n \(5 ≤ n ≤ 8\), H=1, D=8\] numbers, got 64/,
  ],
  [
    'fewer rows than long texts need',
    () => deberta({ maxRelativePositions: 4, posAttType: ['p2c'], posQuery: new Float32Array(2 * 3 * 8) }),
    [1, 1, 5, 8],
    /deberta: "posQuery" expected \[8, H=1, D=8\] numbers, got 48/,
  ],
  [
    'segments of another text',
    () =>
      xlnet({
        rWBias: new Float32Array(8),
        rRBias: new Float32Array(8),
        r: new Float32Array(48),
        attnType: 'uni',
        rSBias: new Float32Array(8),
        segEmbed: new Float32Array(16),
        segments: [0, 1],
      }),
    [1, 1, 5, 8],
    /xlnet: "segments" expected \[S=5\] or \[B=1, S=5\] numbers, got 2/,
  ],
  [
    'a window of other sizes',
    () => swin({ windowSize: 2, table: new Float32Array(9) }),
    [1, 1, 5, 4],
    /swin: "windowSize" expected a window of L=5 queries and S=5 keys, got one of 4 and 4/,
  ],
  [
    'boxes of another text',
    () => layoutLMv3({ heads: 2, ...boxes, bbox: new Int32Array(16) }),
    [1, 2, 5, 4],
    /layoutLMv3: "bbox" expected \[S=5\] or \[B=1, S=5\] numbers, got 4/,
  ],
  [
    'an input of another layer',
    () => wavlm({ ...wave, input: new Float32Array(39) }),
    [1, 2, 5, 4],
    /wavlm: "input" expected \[B=1, L=5, 8\] numbers, got 39/,
  ],
  [
    'heads of another layer',
    () => kerple({ heads: 3, kind: 'log', biasP: [1, 1, 1], biasA: [1, 1, 1] }),
    [1, 2, 5, 4],
    /heads 1 or H=2, got 3/,
  ],
  [
    'coordinates without a scale',
    () => t5({ heads: 2, buckets: 32, maxDistance: 9, bidirectional: true, table, positions: [0, 1e9, 0, 0, 0] }),
    [1, 2, 5, 4],
    /t5: "positions" expected at most 16777216 different values/,
  ],
])('%s: the call is refused', (_, make, shape, message) => {
  const x = engine.tensor(shape);
  expect(() => engine.attentionSync(x, x, x, { encoding: make() as never })).toThrow(message);
});

test('every scheme of the registry is described', () => {
  for (const { name, formula, options, models, make } of registry) {
    expect(
      [name, formula, options, models].every((text) => text.length > 0 && !/\s$/.test(text)),
      name,
    ).toBe(true);
    expect(make.name, name).toBe(name);
  }
});

test('more queries than entries: no query may stand before the first', () => {
  const [q, k] = [engine.tensor([1, 2, 6, 4]), engine.tensor([1, 2, 4, 4])];
  const encoding = layoutLMv3({ heads: 2, ...boxes, bbox: new Int32Array(16) });
  expect(() => engine.attentionSync(q, k, k, { encoding })).toThrow(/an entry for every query, at positions -2 … 3/);
});
