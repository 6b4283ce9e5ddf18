// Schemes that add a number which follows from the distance.
import {
  fallOf,
  MADE_UP,
  type NumberParam,
  numberOf,
  roughOf,
  type SchemeDescription,
  SEED,
  type Values,
  type WordParam,
} from './description.ts';
import { made, type Written } from './written.ts';

const BUCKETS: NumberParam = { key: 'buckets', label: 'buckets', least: 8, most: 64, step: 4, default: 32 };
const REACH: NumberParam = {
  key: 'maxDistance',
  label: 'distance of the last bucket',
  least: 33,
  most: 512,
  step: 1,
  logarithmic: true,
  default: 128,
};
const DIRECTIONS: WordParam = {
  key: 'directions',
  label: 'directions',
  words: [
    ['two', 'two (encoder)'],
    ['one', 'one (decoder)'],
  ],
  default: 'two',
};

/** A table over T5's buckets. */
export const bucketTable = (values: Values, rows: number, heads: number, bidirectional: boolean): Written =>
  made(
    'biasTable',
    made('ofBuckets', rows, bidirectional),
    heads,
    numberOf(values, 'fall'),
    numberOf(values, 'rough'),
    numberOf(values, 'seed'),
  );

const kerpleParts = (values: Values, heads: number): readonly Written[] => {
  const [p, a] = [made('filled', heads, numberOf(values, 'p')), made('filled', heads, numberOf(values, 'a'))];
  if (values.kind === 'weight') return [{ heads, weightP: p, weightA: a }];
  return [{ heads, kind: String(values.kind), biasP: p, biasA: a }];
};

export const biases: readonly SchemeDescription[] = [
  {
    name: 'alibi',
    title: 'ALiBi',
    group: 'biases by distance',
    bias: true,
    causal: true,
    look: 'A straight line down with the distance. Each head has a slope of its own: change the head shown.',
    params: [{ key: 'maxBias', letter: 'M', label: 'slopes end at 2⁻ᴹ', least: 1, most: 16, step: 0.5, default: 8 }],
    make: (values, { H }) => [{ heads: H, maxBias: numberOf(values, 'maxBias') }],
  },
  {
    name: 't5',
    title: 'T5 buckets',
    group: 'biases by distance',
    bias: true,
    look: 'Near distances have a number each, farther ones share one: steps that get longer. Beyond the last bucket all is the same.',
    tables: MADE_UP,
    params: [BUCKETS, REACH, DIRECTIONS, fallOf(0.3), roughOf(0.15), SEED],
    make: (values, { H }) => {
      const buckets = numberOf(values, 'buckets');
      const bidirectional = values.directions === 'two';
      return [
        {
          heads: H,
          buckets,
          maxDistance: numberOf(values, 'maxDistance'),
          bidirectional,
          table: bucketTable(values, buckets, H, bidirectional),
        },
      ];
    },
  },
  {
    name: 'mpnet',
    title: 'MPNet',
    group: 'biases by distance',
    bias: true,
    look: 'T5’s steps in both directions, with 32 buckets up to distance 128, whatever the config says.',
    tables: MADE_UP,
    params: [fallOf(0.3), roughOf(0.15), SEED],
    make: (values, { H }) => [{ heads: H, table: bucketTable(values, 32, H, true) }],
  },
  {
    name: 'wavlm',
    title: 'WavLM, gated buckets',
    group: 'biases by distance',
    bias: true,
    look: 'T5’s steps, but each query has a gate that makes its row stronger or weaker: rows differ in contrast.',
    tables: MADE_UP,
    params: [
      { ...BUCKETS, most: 320 },
      REACH,
      { key: 'gate', label: 'strength of the gates', least: 0, most: 4, step: 0.05, default: 1 },
      fallOf(0.2),
      roughOf(0.15),
      SEED,
    ],
    make: (values, { H, L }) => {
      const buckets = numberOf(values, 'buckets');
      return [
        {
          heads: H,
          numBuckets: buckets,
          maxDistance: Math.max(numberOf(values, 'maxDistance'), buckets / 4 + 1),
          table: bucketTable(values, buckets, H, true),
          input: made('noise', L * H * 8, 1, numberOf(values, 'seed') + 1),
          gateWeight: made('noise', 64, numberOf(values, 'gate'), numberOf(values, 'seed') + 2),
          gateBias: made('filled', 8, 0),
          gateConst: made('filled', H, 1),
        },
      ];
    },
  },
  {
    name: 'kerple',
    title: 'KERPLE',
    group: 'biases by distance',
    bias: ({ kind }) => kind !== 'weight',
    causal: true,
    look: 'The logarithm falls fast near the query and hardly farther off; the power with p = 1 is ALiBi; the weight shrinks the score itself.',
    params: [
      {
        key: 'kind',
        label: 'kind',
        words: [
          ['log', 'logarithm: −p·ln(1 + a·d)'],
          ['power', 'power: −a·dᵖ'],
          ['weight', 'weight: score · exp(−a·dᵖ)'],
        ],
        default: 'log',
      },
      { key: 'p', letter: 'p', label: 'height or exponent', least: 0.01, most: 4, step: 0.01, default: 1.2 },
      { key: 'a', letter: 'a', label: 'steepness', least: 0.01, most: 4, step: 0.01, logarithmic: true, default: 0.5 },
    ],
    make: (values, { H }) => kerpleParts(values, H),
  },
  {
    name: 'sandwich',
    title: 'Sandwich',
    group: 'biases by distance',
    bias: true,
    look: 'The product of two sinusoids’ vectors, lowered to 0 at the diagonal: it falls with waves, and further heads fall less.',
    params: [
      { key: 'width', letter: 'd̄', label: 'width of the sinusoids', least: 8, most: 512, step: 2, default: 128 },
      {
        key: 'theta',
        letter: 'θ',
        label: 'base of the frequencies',
        least: 10,
        most: 1_000_000,
        step: 1,
        logarithmic: true,
        default: 10000,
      },
    ],
    make: (values, { H }) => [{ heads: H, width: numberOf(values, 'width'), theta: numberOf(values, 'theta') }],
  },
  {
    name: 'fire',
    title: 'FIRE',
    group: 'biases by distance',
    bias: true,
    causal: true,
    look: 'Beyond the threshold distances are measured by the query’s own position: the fall gets flatter in lower rows.',
    tables: 'The network is made up: it passes the measured distance on, times −w.',
    params: [
      { key: 'c', letter: 'c', label: 'steepness of the logarithm', least: 0.01, most: 4, step: 0.01, logarithmic: true, default: 0.1 },
      { key: 'threshold', letter: 'L', label: 'threshold', least: 1, most: 256, step: 1, default: 32 },
      { key: 'w', letter: 'w', label: 'weight of the network', least: 0.1, most: 20, step: 0.1, default: 6 },
    ],
    make: (values, { H }) => [
      {
        weight1: made('filled', 32, 1),
        bias1: made('filled', 32, 0),
        weight2: made('filled', 32 * H, -numberOf(values, 'w') / 32),
        bias2: made('filled', H, 0),
        c: numberOf(values, 'c'),
        threshold: numberOf(values, 'threshold'),
      },
    ],
  },
  {
    name: 'dynamicPositionBias',
    title: 'dynamic position bias (MLP)',
    group: 'biases by distance',
    bias: true,
    look: 'A small network makes the bias of a distance. This one bends where the two sides meet; a learned one may have any form.',
    tables: 'The network is made up: two hidden units, one for each side.',
    params: [
      { key: 'before', label: 'weight of keys before', least: 0, most: 2, step: 0.01, default: 0.2 },
      { key: 'after', label: 'weight of keys after', least: 0, most: 2, step: 0.01, default: 0.5 },
      {
        key: 'input',
        label: 'the network sees',
        words: [
          ['distance', 'the distance'],
          ['log', 'its signed logarithm'],
        ],
        default: 'distance',
      },
    ],
    make: (values, { H }) => [
      {
        heads: H,
        layers: [
          { weight: [1, -1], bias: [0, 0] },
          {
            weight: made('cycle', 2 * H, [-numberOf(values, 'before'), -numberOf(values, 'after')]),
            bias: made('filled', H, 0),
          },
        ],
        logDistance: values.input === 'log',
      },
    ],
  },
  {
    name: 'forgetting',
    title: 'forgetting attention (FoX)',
    group: 'biases by distance',
    bias: true,
    causal: true,
    look: 'Each token forgets a part of what was before it. With gates that vary, one token of ten forgets most: from there down all to its left is darker.',
    tables: 'Models compute the gates from their input; these are made up, and vary by a seed.',
    params: [
      { key: 'lambda', letter: 'λ', label: 'forgotten at a token, −ln f', least: 0, most: 1, step: 0.005, default: 0.1 },
      { key: 'vary', label: 'how much gates vary', least: 0, most: 1, step: 0.05, default: 0.8 },
      { ...SEED, label: 'seed of the gates' },
    ],
    make: (values, { H, S }) => [
      { heads: H, logGates: made('gates', H, S, numberOf(values, 'lambda'), numberOf(values, 'vary'), numberOf(values, 'seed')) },
    ],
  },
  {
    name: 'queryScale',
    title: 'query scale (Llama 4, Qwen)',
    group: 'others',
    look: 'No position between pairs: the whole row of a late query is made stronger, so that its attention stays sharp over more keys.',
    params: [
      {
        key: 'kind',
        label: 'kind',
        words: [
          ['steps', 'steps (Llama 4)'],
          ['log', 'logarithm (Qwen)'],
        ],
        default: 'steps',
      },
      { key: 'interval', label: 'positions of a step', least: 1, most: 128, step: 1, default: 32, when: ({ kind }) => kind === 'steps' },
      { key: 'factor', letter: 'β', label: 'factor', least: 0, most: 2, step: 0.01, default: 0.5, when: ({ kind }) => kind === 'steps' },
      { key: 'length', label: 'length of the training', least: 2, most: 256, step: 1, default: 32, when: ({ kind }) => kind === 'log' },
    ],
    make: (values) => [
      values.kind === 'steps'
        ? { kind: 'steps', interval: numberOf(values, 'interval'), factor: numberOf(values, 'factor') }
        : { kind: 'log', length: numberOf(values, 'length') },
    ],
  },
  {
    name: 'bias',
    title: 'your own matrix',
    group: 'others',
    bias: true,
    look: 'Whatever comes as a matrix is added as it is: here stripes over the distance.',
    tables: 'The matrix is made up.',
    params: [
      { key: 'period', label: 'keys of a stripe', least: 2, most: 128, step: 1, default: 24 },
      { key: 'height', label: 'height', least: 0, most: 8, step: 0.1, default: 2 },
    ],
    make: (values, { L, S }) => [
      made('engine.tensor', [1, 1, L, S], made('stripes', L, S, numberOf(values, 'period'), numberOf(values, 'height'))),
    ],
  },
];
