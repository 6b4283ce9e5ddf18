// For every scheme of the registry, one typical use at given sizes: for timing (bench/main.mjs) and for pictures (scripts/docs.mjs).

/** Rows and columns of a square of L cells. */
const square = (L) => [Math.sqrt(L), Math.sqrt(L)];
/** Rows of a table over the differences of two cells. */
const differences = ([h, w]) => (2 * h - 1) * (2 * w - 1);
/** Time, row and column of some words, an image, and words again: [3, L]. */
function pageOfWords(L) {
  const [words, side] = [L >> 2, Math.floor(Math.sqrt(L / 2))];
  const cells = side * side;
  const axis = (place) =>
    Array.from({ length: L }, (_, j) => {
      if (j < words) return j;
      return j < words + cells ? words + place(j - words) : words + side + j - words - cells;
    });
  return [...axis(() => 0), ...axis((n) => Math.floor(n / side)), ...axis((n) => n % side)];
}
/** A linear layer from two features to D channels that passes the first on. */
const column = (D) => ({ weight: Float32Array.from({ length: 2 * D }, (_, n) => Number(n % 2 === 0)), bias: new Float32Array(D) });
/** −(|y| + |x|) as an MLP: the hidden units are the positive parts of y, −y, x and −x, sixteen times. */
const mlp = (H) => ({
  weight1: Float32Array.from({ length: 128 }, (_, n) => [1, 0, -1, 0, 0, 1, 0, -1][n % 8]),
  bias1: new Float32Array(64),
  weight2: new Float32Array(64 * H).fill(-1 / 16),
});

/**
 * A recipe makes the options of the constructor from the sizes { H, L, D } and two makers of numbers: `table(shape, axis = 0)` for what is
 * looked up by position, along that axis, and `weights(shape)` for what is not. Further:
 *
 *   kind       what the cost is bounded by, see BOUNDS
 *   form       'square': L is a square number; 'class': one more, for a class token
 *   attention  options of the call
 *   picture    false if there is nothing to draw
 */
export const RECIPES = {
  rotary: { kind: 'rotation', options: ({ D }) => ({ dim: D, theta: 10000, layout: 'halves' }) },
  rotaryFromConfig: {
    kind: 'rotation',
    options: ({ H, D }) => ({ model_type: 'llama', hidden_size: H * D, num_attention_heads: H, head_dim: D, rope_theta: 500000 }),
    picture: false,
  },
  mrope: {
    kind: 'rotation',
    options: ({ L, D }) => ({
      dim: D,
      theta: 100,
      layout: 'halves',
      sections: [D / 8, (3 * D) / 16, (3 * D) / 16],
      positions: pageOfWords(L),
    }),
  },
  axialRotary: { kind: 'rotation', form: 'square', options: ({ L, D }) => ({ dim: D, theta: 100, layout: 'halves', grid: square(L) }) },
  xpos: { kind: 'rotation', options: ({ D }) => ({ dim: D, theta: 10000, layout: 'pairs' }) },
  alibi: { kind: 'offset bias', options: ({ H }) => ({ heads: H }) },
  t5: {
    kind: 'offset bias',
    options: ({ H }, { table }) => ({ heads: H, buckets: 32, maxDistance: 128, bidirectional: true, table: table([32, H]) }),
  },
  mpnet: { kind: 'offset bias', options: ({ H }, { table }) => ({ heads: H, table: table([32, H]) }) },
  wavlm: {
    kind: 'gated bias',
    options: ({ H, L }, { table, weights }) => ({
      heads: H,
      numBuckets: 320,
      maxDistance: 800,
      table: table([320, H]),
      input: weights([L, H * 8]),
      gateWeight: weights([8, 8]),
      gateBias: weights([8]),
      gateConst: weights([H]),
    }),
  },
  kerple: {
    kind: 'offset bias',
    options: ({ H }) => ({ heads: H, kind: 'log', biasP: Array(H).fill(1.2), biasA: Array(H).fill(0.5) }),
  },
  cope: {
    kind: 'gated positions',
    options: ({ D }, { table }) => ({ maxPositions: 64, table: table([64, D]) }),
    attention: { causal: true },
  },
  forgetting: {
    kind: 'sum bias',
    // A gate of 0.9 everywhere.
    options: ({ H, L }) => ({ heads: H, logGates: new Float32Array(H * L).fill(-0.105) }),
    attention: { causal: true },
  },
  queryScale: { kind: 'query scale', options: () => ({ kind: 'steps', interval: 16, factor: 1 }), picture: false },
  fire: {
    kind: 'offset bias',
    // −|x|, x the scaled distance.
    options: ({ H }) => ({
      weight1: new Float32Array(32).fill(1),
      bias1: new Float32Array(32),
      weight2: new Float32Array(32 * H).fill(-1 / 32),
      bias2: new Float32Array(H),
      c: 0.1,
      threshold: 2048,
    }),
  },
  dynamicPositionBias: {
    kind: 'offset bias',
    // −|x| through two hidden units, as far as SiLU is the positive part.
    options: ({ H }) => ({
      heads: H,
      layers: [
        { weight: [1, -1], bias: [0, 0] },
        { weight: new Float32Array(2 * H).fill(-1), bias: new Float32Array(H) },
      ],
    }),
  },
  sandwich: { kind: 'offset bias', options: ({ H }) => ({ heads: H }) },
  bias: { kind: 'dense', options: ({ H, L }, { table, engine }) => engine.tensor([1, H, L, L], table([H * L * L])), picture: false },
  cpmAnt: {
    kind: 'index bias',
    options: ({ H, L }, { table }) => ({
      heads: H,
      positionBiasNumBuckets: 512,
      positionBiasMaxDistance: 2048,
      segmentTypes: 2,
      table: table([516, H]),
      segments: Array.from({ length: L }, (_, j) => Number(j >= L / 4)),
    }),
  },
  layoutLMv3: {
    kind: 'three biases',
    options: ({ H, L }, { table }) => ({
      heads: H,
      relPosBins: 32,
      maxRelPos: 128,
      rel2dPosBins: 64,
      maxRel2dPos: 256,
      relPosBias: table([32, H]),
      relPosXBias: table([64, H]),
      relPosYBias: table([64, H]),
      // A page of lines of eight words.
      bbox: Array.from(
        { length: 4 * L },
        (_, n) => (n % 2 ? 20 * Math.floor(n / 32) + 5 * (n % 4) : 120 * ((n >> 2) % 8) + 50 * (n % 4)) % 1000,
      ),
    }),
  },
  swin: {
    kind: 'index bias',
    form: 'square',
    options: ({ H, L }, { table }) => ({ windowSize: square(L), table: table([differences(square(L)), H]) }),
  },
  swinV2: {
    kind: 'cosine',
    form: 'square',
    options: ({ H, L }, { weights }) => ({ windowSize: square(L), logitScale: weights([H]), ...mlp(H) }),
    attention: { scale: 1 },
  },
  relPosMlp: {
    kind: 'index bias',
    form: 'square',
    options: ({ H, L }, { weights }) => ({ windowSize: square(L), ...mlp(H), bias2: weights([H]) }),
  },
  beit: {
    kind: 'index bias',
    form: 'class',
    options: ({ H, L }, { table }) => ({ windowSize: square(L - 1), table: table([differences(square(L - 1)) + 3, H]) }),
  },
  levit: {
    kind: 'index bias',
    form: 'square',
    options: ({ H, L }, { table }) => ({ resolution: square(L), attentionBiases: table([H, L], 1) }),
  },
  maxvit: {
    kind: 'index bias',
    form: 'square',
    options: ({ H, L }, { table }) => ({ windowSize: square(L), table: table([H, differences(square(L))], 1) }),
  },
  shaw: { kind: 'table', options: ({ D }, { table }) => ({ left: 16, right: 16, keys: table([33, D]) }) },
  sinusoidal: { kind: 'table', options: () => ({ maxDistance: 16 }) },
  // The first column of the weights only, so that the picture shows the cosine, or the step.
  distance: { kind: 'table', options: ({ D }) => ({ window: 16, ...column(D) }) },
  direction: { kind: 'table', options: ({ D }) => ({ window: 16, ...column(D) }) },
  musicTransformer: { kind: 'table', options: ({ L, D }, { table }) => ({ table: table([L, D]) }), attention: { causal: true } },
  transformerXL: {
    kind: 'table',
    options: ({ H, L, D }, { table, weights }) => ({ u: weights([H, D]), v: weights([H, D]), r: table([L, H, D]) }),
    attention: { causal: true },
  },
  xlnet: {
    kind: 'table',
    options: ({ H, L, D }, { table, weights }) => ({
      rWBias: weights([H, D]),
      rRBias: weights([H, D]),
      r: table([2 * L, H, D]),
      attnType: 'bi',
    }),
  },
  conformer: {
    kind: 'table',
    options: ({ H, L, D }, { table, weights }) => ({ posBiasU: weights([H, D]), posBiasV: weights([H, D]), r: table([2 * L - 1, H, D]) }),
  },
  deberta: {
    kind: 'two tables',
    options: ({ H, D }, { table }) => ({
      maxRelativePositions: 512,
      positionBuckets: 256,
      posAttType: ['c2p', 'p2c'],
      posKey: table([512, H, D]),
      posQuery: table([512, H, D]),
    }),
  },
  decomposed: {
    kind: 'two short tables',
    form: 'square',
    options: ({ L, D }, { table }) => {
      const rows = 2 * Math.sqrt(L) - 1;
      return { querySize: square(L), relPosH: table([rows, D]), relPosW: table([rows, D]) };
    },
  },
};

/** Cost over no encoding that a kind may have, in percent; a kind that is not here has no bound. */
export const BOUNDS = { 'offset bias': 12, table: 70, 'two tables': 130 };

/** The length nearest below `L` that the form of a recipe allows. */
export function lengthOf({ form }, L) {
  if (form === undefined) return L;
  const cells = Math.floor(Math.sqrt(L)) ** 2;
  return form === 'class' ? cells + 1 : cells;
}
