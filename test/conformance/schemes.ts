/** One case for each scheme, large enough for all threads; the golden files hold each scheme to its original, this to its own bits. */
import type * as Relpos from '../../src/index.ts';
import { attention, type Case, type Package, type Sizes } from './call.ts';
import { numbers } from './numbers.ts';

/** Heads, queries, keys and width of every case here; a window of 14 × 14 cells. */
const [H, L, D, SIDE] = [4, 196, 40, 14] as const;
const SIZES: Partial<Sizes> = { H, G: H, L, S: L, D, E: D };
const WINDOW = 2 * SIDE - 1;

/** The shape of each table below. */
export const tableShapes: WeakMap<object, readonly number[]> = new WeakMap();

/** Learned numbers of a scheme: a table of the product of the lengths, its own for each seed. */
const table = (seed: number, ...shape: readonly number[]): Float32Array => {
  const size = shape.reduce((product, n) => product * n, 1);
  const values = numbers(size, 1000 + seed);
  tableShapes.set(values, shape);
  return values;
};
/** Whole numbers in 0 … end − 1. */
const integers = (seed: number, count: number, end: number): Int32Array =>
  Int32Array.from(numbers(count, 2000 + seed), (x) => Math.floor(((x + 1) / 2) * end));

const positions = Array.from({ length: L }, (_, j) => j + (j % 5));
/** The hidden layers of a coordinate network. */
const layers = (hidden: number): { weight1: Float32Array; bias1: Float32Array; weight2: Float32Array } => ({
  weight1: table(1, hidden, 2),
  bias1: table(2, hidden),
  weight2: table(3, H, hidden),
});

/** A case of one encoding, bidirectional. */
const scheme = (make: (relpos: Package) => Relpos.Encoding, sizes: Partial<Sizes> = {}): Case =>
  attention({ ...SIZES, ...sizes }, (relpos) => ({ encoding: make(relpos) }));

/** By the name of the scheme. */
export const schemes: Readonly<Record<string, Case>> = {
  rotary: scheme(({ rotary }) => rotary({ dim: D, theta: 10000, layout: 'halves', positions })),
  rotaryFromConfig: scheme(({ rotaryFromConfig }) =>
    rotaryFromConfig({
      model_type: 'llama',
      head_dim: D,
      hidden_size: H * D,
      num_attention_heads: H,
      max_position_embeddings: 512,
      rope_parameters: {
        rope_type: 'llama3',
        rope_theta: 500000,
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 64,
      },
    }),
  ),
  axialRotary: scheme(({ axialRotary }) => axialRotary({ dim: D, theta: 100, layout: 'halves', grid: [SIDE, SIDE] })),
  mrope: scheme(({ mrope }) => {
    const axes = [positions, positions.map((p) => p % 14), positions.map((p) => Math.floor(p / 14))];
    return mrope({ dim: D, theta: 10000, layout: 'halves', sections: [6, 8, 6], positions: axes.flat() });
  }),
  xpos: scheme(({ xpos }) => xpos({ dim: D, theta: 10000, layout: 'pairs', scaleBase: 512, center: 100 })),
  alibi: scheme(({ alibi }) => alibi({ heads: H })),
  t5: scheme(({ t5 }) => t5({ heads: H, buckets: 32, maxDistance: 128, bidirectional: true, table: table(4, 32, H) })),
  bias: attention(SIZES, ({ bias }, engine) => ({ encoding: bias(engine.tensor([1, H, L, L], table(5, H, L, L))) })),
  beit: scheme(({ beit }) => beit({ windowSize: [SIDE, SIDE], table: table(6, WINDOW * WINDOW + 3, H) }), { L: L + 1, S: L + 1 }),
  cpmAnt: scheme(({ cpmAnt }) =>
    cpmAnt({
      heads: H,
      positionBiasNumBuckets: 24,
      positionBiasMaxDistance: 40,
      segmentTypes: 4,
      table: table(7, 40, H),
      segments: integers(1, L, 4),
    }),
  ),
  deberta: scheme(({ deberta }) =>
    deberta({ maxRelativePositions: 64, posAttType: ['c2p', 'p2c'], posKey: table(8, 128, H, D), posQuery: table(9, 128, H, D) }),
  ),
  decomposed: scheme(({ decomposed }) =>
    decomposed({ querySize: [SIDE, SIDE], relPosH: table(10, WINDOW, D), relPosW: table(11, WINDOW, D) }),
  ),
  distance: scheme(({ distance }) => distance({ window: 32, weight: table(12, D, 2), bias: table(13, D) })),
  direction: scheme(({ direction }) => direction({ window: 32, weight: table(14, D, 2), bias: table(15, D) })),
  fire: scheme(({ fire }) =>
    fire({ weight1: table(16, 32), bias1: table(17, 32), weight2: table(18, H, 32), bias2: table(19, H), c: 0.1, threshold: 100 }),
  ),
  kerple: scheme(({ kerple }) => kerple({ heads: H, kind: 'log', biasP: [1.2, 0.4, 0.1, 2], biasA: [0.5, 0.9, 2, 0.1] })),
  queryScale: scheme(({ queryScale }) => queryScale({ kind: 'steps', interval: 50, factor: 0.4, start: 1 })),
  cope: scheme(({ cope }) => cope({ heads: H, maxPositions: 24, table: table(41, H, 24, D) })),
  forgetting: scheme(({ forgetting }) => forgetting({ heads: H, logGates: table(40, H, L).map((x) => -Math.abs(x)) })),
  layoutLMv3: scheme(({ layoutLMv3 }) =>
    layoutLMv3({
      heads: H,
      relPosBins: 32,
      maxRelPos: 128,
      rel2dPosBins: 64,
      maxRel2dPos: 256,
      relPosBias: table(20, 32, H),
      relPosXBias: table(21, 64, H),
      relPosYBias: table(22, 64, H),
      bbox: integers(2, L * 4, 1000),
    }),
  ),
  levit: scheme(({ levit }) => levit({ resolution: SIDE, attentionBiases: table(23, H, SIDE * SIDE) })),
  maxvit: scheme(({ maxvit }) => maxvit({ windowSize: [SIDE, SIDE], table: table(24, H, WINDOW, WINDOW) })),
  mpnet: scheme(({ mpnet }) => mpnet({ heads: H, table: table(25, 32, H) })),
  relPosMlp: scheme(({ relPosMlp }) => relPosMlp({ windowSize: SIDE, ...layers(128), bias2: table(26, H) })),
  sandwich: scheme(({ sandwich }) => sandwich({ heads: H, width: 128 })),
  shaw: scheme(({ shaw }) => shaw({ left: 16, right: 16, keys: table(27, 33, D), values: table(28, 33, D) })),
  musicTransformer: attention(SIZES, ({ musicTransformer }) => ({
    encoding: musicTransformer({ table: table(29, L, D) }),
    causal: true,
  })),
  sinusoidal: scheme(({ sinusoidal }) => sinusoidal({ maxDistance: 64 })),
  swin: scheme(({ swin }) => swin({ windowSize: [SIDE, SIDE], table: table(30, WINDOW * WINDOW, H) })),
  swinV2: attention(SIZES, ({ swinV2 }) => ({
    encoding: swinV2({ windowSize: [SIDE, SIDE], pretrainedWindowSize: [0, 0], logitScale: table(31, H), ...layers(512) }),
    scale: 1,
  })),
  transformerXL: attention(SIZES, ({ transformerXL }) => ({
    encoding: transformerXL({ u: table(32, H, D), v: table(33, H, D), r: table(34, L, H, D) }),
    causal: true,
  })),
  xlnet: scheme(({ xlnet }) =>
    xlnet({
      rWBias: table(35, H, D),
      rRBias: table(36, H, D),
      r: table(37, 2 * L, H, D),
      attnType: 'bi',
      rSBias: table(38, H, D),
      segEmbed: table(39, 2, H, D),
      segments: integers(3, L, 2),
    }),
  ),
  conformer: scheme(({ conformer }) => conformer({ posBiasU: table(40, H, D), posBiasV: table(41, H, D), r: table(42, 2 * L - 1, H, D) })),
  wavlm: scheme(({ wavlm }) =>
    wavlm({
      heads: H,
      numBuckets: 320,
      maxDistance: 800,
      table: table(43, 320, H),
      input: table(44, 1, L, H * D),
      gateWeight: table(45, 8, D),
      gateBias: table(46, 8),
      gateConst: table(47, H),
    }),
  ),
};
