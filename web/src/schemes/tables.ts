// Schemes with a table of vectors, which a query or a key meets.
import { fallOf, type NumberParam, numberOf, roughOf, type SchemeDescription, SEED, type Values } from './description.ts';
import { made, type Written } from './written.ts';

const VECTORS =
  'Learned vectors belong to a checkpoint; these are made up: they fall with the distance where queries are ones, with seeded noise.';

const CLIP: NumberParam = {
  key: 'clip',
  letter: 'k',
  label: 'distance from which all is the same',
  least: 1,
  most: 128,
  step: 1,
  default: 16,
};

/** Vectors of `width` numbers, one for each distance. */
const vectors = (values: Values, distances: Written, width: number, D: number, more = 0): Written =>
  made('vectorTable', distances, width, D, numberOf(values, 'fall'), numberOf(values, 'rough'), numberOf(values, 'seed') + more);

/** Vectors that are added to queries: small seeded numbers. */
const content = (values: Values, count: number, more: number): Written =>
  made('noise', count, numberOf(values, 'content'), numberOf(values, 'seed') + more);

const CONTENT: NumberParam = {
  key: 'content',
  letter: 'u, v',
  label: 'size of the added vectors',
  least: 0,
  most: 2,
  step: 0.01,
  default: 0.3,
};

const WINDOW_LINEAR: readonly NumberParam[] = [
  { ...CLIP, letter: 'K' },
  { key: 'first', letter: 'W₁', label: 'weight of the first feature', least: -2, most: 2, step: 0.01, default: 0.5 },
  { key: 'second', letter: 'W₂', label: 'weight of the second feature', least: -2, most: 2, step: 0.01, default: 0.2 },
];

const linear = (values: Values, D: number, shrink = 1): readonly Written[] => {
  const weights = [numberOf(values, 'first') / shrink, numberOf(values, 'second') / shrink];
  return [{ window: numberOf(values, 'clip'), weight: made('cycle', 2 * D, weights), bias: made('filled', D, 0) }];
};

export const tables: readonly SchemeDescription[] = [
  {
    name: 'shaw',
    title: 'Shaw',
    group: 'tables met by queries',
    look: 'A band around the diagonal: within k each distance has a vector that the query meets, beyond k all share the last one.',
    tables: VECTORS,
    params: [CLIP, fallOf(0.25), roughOf(0.2), SEED],
    make: (values, { D }) => {
      const k = numberOf(values, 'clip');
      return [{ left: k, right: k, keys: vectors(values, made('ofRows', 2 * k + 1, k), D, D) }];
    },
  },
  {
    name: 'musicTransformer',
    title: 'Music Transformer',
    group: 'tables met by queries',
    causal: true,
    look: 'A vector for each distance to the left, as many as the table has rows; farther keys get nothing at all.',
    tables: VECTORS,
    params: [
      { key: 'rows', letter: 'P', label: 'rows of the table', least: 1, most: 256, step: 1, default: 128 },
      fallOf(0.05),
      roughOf(0.2),
      SEED,
    ],
    make: (values, { D }) => {
      const rows = numberOf(values, 'rows');
      return [{ table: vectors(values, made('ofRows', rows, rows - 1), D, D) }];
    },
  },
  {
    name: 'transformerXL',
    title: 'Transformer-XL',
    group: 'tables met by queries',
    causal: true,
    look: 'Queries meet a vector of the distance, and every key and distance also meets the fixed vectors u and v: with u, columns differ.',
    tables: VECTORS,
    params: [CONTENT, fallOf(0.05), roughOf(0.2), SEED],
    make: (values, { H, S, D }) => [
      {
        u: content(values, H * D, 1),
        v: content(values, H * D, 2),
        r: vectors(values, made('ofRows', S, S - 1), H * D, D),
      },
    ],
  },
  {
    name: 'xlnet',
    title: 'XLNet',
    group: 'tables met by queries',
    look: 'Transformer-XL in both directions; keys of another segment than the query’s get a number of their own: a cross of two shades.',
    tables: VECTORS,
    params: [
      CONTENT,
      { key: 'first', label: 'tokens of the first segment', least: 0, most: 256, step: 1, default: 64 },
      { key: 'apart', label: 'against other segments', least: 0, most: 4, step: 0.05, default: 1 },
      fallOf(0.05),
      roughOf(0.2),
      SEED,
    ],
    make: (values, { H, L, S, D }) => [
      {
        rWBias: content(values, H * D, 1),
        rRBias: content(values, H * D, 2),
        r: vectors(values, made('ofRows', L + S, S), H * D, D),
        attnType: 'bi',
        rSBias: made('filled', H * D, 0),
        segEmbed: made('vectorTable', [0, 1], H * D, D, numberOf(values, 'apart'), 0, 1),
        segments: made('twoSegments', S, numberOf(values, 'first')),
      },
    ],
  },
  {
    name: 'conformer',
    title: 'Conformer',
    group: 'tables met by queries',
    look: 'Transformer-XL in both directions, as speech models have it: the two sides of the diagonal have vectors of their own.',
    tables: VECTORS,
    params: [CONTENT, fallOf(0.05), roughOf(0.2), SEED],
    make: (values, { H, S, D }) => [
      {
        posBiasU: content(values, H * D, 1),
        posBiasV: content(values, H * D, 2),
        r: vectors(values, made('ofRows', 2 * S - 1, S - 1), H * D, D),
      },
    ],
  },
  {
    name: 'deberta',
    title: 'DeBERTa',
    group: 'tables met by queries',
    look: 'Query meets distance and key meets distance: rows and columns both have a pattern, and log buckets make steps far away.',
    tables: VECTORS,
    params: [
      {
        key: 'terms',
        label: 'terms',
        words: [
          ['both', 'c2p and p2c'],
          ['c2p', 'query and position (c2p)'],
          ['p2c', 'key and position (p2c)'],
        ],
        default: 'both',
      },
      { key: 'buckets', label: 'buckets', least: 8, most: 256, step: 2, default: 64 },
      { key: 'reach', label: 'distance of the last bucket', least: 160, most: 1024, step: 1, logarithmic: true, default: 512 },
      fallOf(0.1),
      roughOf(0.2),
      SEED,
    ],
    make: (values, { H, D }) => {
      const buckets = numberOf(values, 'buckets');
      const rows = made('ofRows', 2 * buckets, buckets);
      const types = values.terms === 'both' ? ['c2p', 'p2c'] : [String(values.terms)];
      return [
        {
          maxRelativePositions: numberOf(values, 'reach'),
          positionBuckets: buckets,
          posAttType: types,
          posKey: types.includes('c2p') ? vectors(values, rows, H * D, D) : undefined,
          posQuery: types.includes('p2c') ? vectors(values, rows, H * D, D, 1) : undefined,
        },
      ];
    },
    scale: (values, { D }) => 1 / Math.sqrt(D * (values.terms === 'both' ? 3 : 2)),
  },
  {
    name: 'sinusoidal',
    title: 'relative sinusoids',
    group: 'tables met by queries',
    look: 'The table is not learned: sines and cosines of the distance, met by the query. A greater base makes slower waves.',
    params: [
      { ...CLIP, default: 64 },
      { key: 'base', letter: 'θ', label: 'base', least: 10, most: 1_000_000, step: 1, logarithmic: true, default: 10000 },
      {
        key: 'layout',
        label: 'layout',
        words: [
          ['interleaved', 'sine, cosine, sine …'],
          ['halves', 'all sines, then all cosines'],
        ],
        default: 'interleaved',
      },
    ],
    make: (values) => [{ maxDistance: numberOf(values, 'clip'), base: numberOf(values, 'base'), layout: String(values.layout) }],
  },
  {
    name: 'distance',
    title: 'distance encoding',
    group: 'tables met by queries',
    look: 'One wave over the window of ±K: the cosine is the same on both sides, the sine tells them apart.',
    tables: 'The weights are made up: the same for all channels.',
    params: WINDOW_LINEAR,
    make: (values, { D }) => linear(values, D),
  },
  {
    name: 'direction',
    title: 'direction encoding',
    group: 'tables met by queries',
    look: 'Rows of a square: the first feature jumps where a key is in another row than the query, the second tells how far it is.',
    tables: 'The weights are made up: the same for all channels.',
    params: WINDOW_LINEAR,
    make: (values, { D }) => linear(values, D, 32),
  },
  {
    name: 'cope',
    title: 'CoPE, contextual positions',
    group: 'tables met by queries',
    causal: true,
    look: 'A key’s position is how many keys from it to the query open their gate: equal tokens count each, different ones count unevenly.',
    tables: VECTORS,
    params: [
      { key: 'rows', letter: 'P', label: 'positions', least: 2, most: 128, step: 1, default: 64 },
      fallOf(0.02, 0.2),
      roughOf(0.1),
      SEED,
    ],
    make: (values, { D }) => {
      const rows = numberOf(values, 'rows');
      return [{ maxPositions: rows, table: vectors(values, made('ofRows', rows, 0), D, D) }];
    },
  },
];
