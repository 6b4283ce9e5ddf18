// Schemes that turn queries and keys.
import type { NumberParam, Param, SchemeDescription, Sizes, Values, WordParam } from './description.ts';
import { numberOf } from './description.ts';
import { made, type Written } from './written.ts';

const theta = (value: number): NumberParam => ({
  key: 'theta',
  letter: 'θ',
  label: 'base of the frequencies',
  least: 10,
  most: 10_000_000,
  step: 1,
  logarithmic: true,
  default: value,
});

const layout = (value: string): WordParam => ({
  key: 'layout',
  label: 'layout',
  words: [
    ['halves', 'halves: i and i + R/2 (LLaMA)'],
    ['pairs', 'pairs: 2i and 2i + 1 (GPT-J)'],
  ],
  default: value,
});

const PART: NumberParam = {
  key: 'part',
  letter: 'R/D',
  label: 'share of the channels that turn',
  least: 0.25,
  most: 1,
  step: 0.25,
  default: 1,
};

/** Channels that turn: a share of D, even. */
const dimOf = (values: Values, { D }: Sizes): number => 2 * Math.max(1, Math.round((D * numberOf(values, 'part')) / 2));

const of =
  (...types: readonly string[]) =>
  (values: Values): boolean =>
    types.includes(String(values.scaling));

const SCALINGS: readonly Param[] = [
  {
    key: 'scaling',
    label: 'scaling',
    words: [
      ['default', 'none'],
      ['linear', 'linear (position interpolation)'],
      ['dynamic', 'dynamic NTK'],
      ['yarn', 'YaRN'],
      ['llama3', 'Llama 3'],
      ['longrope', 'LongRoPE'],
      ['proportional', 'proportional'],
    ],
    default: 'default',
  },
  {
    key: 'factor',
    letter: 's',
    label: 'factor of the length',
    least: 1,
    most: 32,
    step: 0.5,
    logarithmic: true,
    default: 4,
    when: of('linear', 'dynamic', 'yarn', 'llama3', 'longrope', 'proportional'),
  },
  {
    key: 'trained',
    letter: 'M₀',
    label: 'length of the training',
    least: 8,
    most: 8192,
    step: 1,
    logarithmic: true,
    default: 64,
    when: of('dynamic', 'yarn', 'llama3', 'longrope'),
  },
  { key: 'fast', letter: 'β', label: 'turns from which pairs stay', least: 1, most: 64, step: 1, default: 32, when: of('yarn') },
  { key: 'slow', letter: 'α', label: 'turns below which pairs slow down', least: 0.1, most: 8, step: 0.1, default: 1, when: of('yarn') },
  { key: 'low', label: 'low frequency factor', least: 1, most: 8, step: 0.5, default: 1, when: of('llama3') },
  { key: 'high', label: 'high frequency factor', least: 1, most: 16, step: 0.5, default: 4, when: of('llama3') },
  { key: 'first', label: 'factor of the fastest pair', least: 1, most: 8, step: 0.1, default: 1, when: of('longrope') },
  { key: 'last', label: 'factor of the slowest pair', least: 1, most: 64, step: 0.5, logarithmic: true, default: 8, when: of('longrope') },
  { key: 'turning', label: 'share of the pairs that turn', least: 0.1, most: 1, step: 0.05, default: 0.5, when: of('proportional') },
];

/** The option `scaling`, or undefined for none. */
function scalingOf(values: Values, dim: number): Written {
  const get = (key: string): number => numberOf(values, key);
  const [factor, trained] = [get('factor'), get('trained')];
  switch (values.scaling) {
    case 'linear':
      return { type: 'linear', factor };
    case 'dynamic':
      return { type: 'dynamic', factor, maxPositionEmbeddings: trained };
    case 'yarn':
      return {
        type: 'yarn',
        factor,
        originalMaxPositionEmbeddings: trained,
        betaFast: Math.max(get('fast'), get('slow')),
        betaSlow: get('slow'),
      };
    case 'llama3':
      return {
        type: 'llama3',
        factor,
        lowFreqFactor: get('low'),
        highFreqFactor: Math.max(get('low'), get('high')),
        originalMaxPositionEmbeddings: trained,
      };
    case 'longrope':
      return {
        type: 'longrope',
        shortFactor: made('rising', dim / 2, 1, 1),
        longFactor: made('rising', dim / 2, get('first'), get('last')),
        originalMaxPositionEmbeddings: trained,
        factor,
      };
    case 'proportional':
      return { type: 'proportional', partialRotaryFactor: get('turning'), factor };
    default:
      return undefined;
  }
}

/** config.json files of models, with the head width of the page. */
const CONFIGS: Readonly<Record<string, (sizes: Sizes) => Written>> = {
  llama: ({ H, D }) => ({ model_type: 'llama', hidden_size: H * D, num_attention_heads: H, rope_theta: 10000 }),
  'llama-3.1': ({ H, D }) => ({
    model_type: 'llama',
    hidden_size: H * D,
    num_attention_heads: H,
    max_position_embeddings: 131072,
    rope_theta: 500000,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    },
  }),
  qwen2: ({ H, D }) => ({
    model_type: 'qwen2',
    hidden_size: H * D,
    num_attention_heads: H,
    max_position_embeddings: 131072,
    rope_theta: 1000000,
    rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32768 },
  }),
  gptneox: ({ H, D }) => ({
    model_type: 'gpt_neox',
    hidden_size: H * D,
    num_attention_heads: H,
    rotary_pct: 0.25,
    rotary_emb_base: 10000,
    max_position_embeddings: 2048,
  }),
  gptj: ({ H, D }) => ({ model_type: 'gptj', n_embd: H * D, n_head: H, rotary_dim: D / 2, n_positions: 2048 }),
};

export const rotations: readonly SchemeDescription[] = [
  {
    name: 'rotary',
    title: 'RoPE, rotary',
    group: 'rotations',
    look: 'Near keys score highest, and the score swings as it falls: each pair of channels turns at its own speed. A greater θ slows them all. With ones the curve is the mean of all seeded vectors.',
    params: [theta(10000), PART, layout('halves'), ...SCALINGS],
    make: (values, sizes) => {
      const dim = dimOf(values, sizes);
      return [{ dim, theta: numberOf(values, 'theta'), layout: String(values.layout), scaling: scalingOf(values, dim) }];
    },
  },
  {
    name: 'rotaryFromConfig',
    title: 'rotary of a config.json',
    group: 'rotations',
    look: 'The same turning, with base, width, layout and scaling read from the keys of a model’s config.json.',
    params: [
      {
        key: 'config',
        label: 'config',
        words: [
          ['llama', 'LLaMA'],
          ['llama-3.1', 'Llama 3.1'],
          ['qwen2', 'Qwen2 with YaRN'],
          ['gptneox', 'GPT-NeoX'],
          ['gptj', 'GPT-J'],
        ],
        default: 'llama-3.1',
      },
    ],
    make: (values, sizes) => [(CONFIGS[String(values.config)] as (sizes: Sizes) => Written)(sizes)],
  },
  {
    name: 'xpos',
    title: 'xPos',
    group: 'rotations',
    causal: true,
    look: 'RoPE that also fades with the distance: a smaller scale base fades faster, and pairs that turn fast fade most.',
    params: [
      theta(10000),
      PART,
      layout('pairs'),
      { key: 'scaleBase', label: 'scale base', least: 32, most: 4096, step: 1, logarithmic: true, default: 256 },
    ],
    make: (values, sizes) => [
      {
        dim: dimOf(values, sizes),
        theta: numberOf(values, 'theta'),
        layout: String(values.layout),
        scaleBase: numberOf(values, 'scaleBase'),
      },
    ],
  },
  {
    name: 'axialRotary',
    title: 'axial RoPE (image grid)',
    group: 'rotations',
    form: 'square',
    look: 'Tokens are cells of an image, row by row: stripes at every row’s length show that cells above and below are near too.',
    params: [
      theta(100),
      {
        key: 'frequencies',
        label: 'frequencies',
        words: [
          ['shared', 'the same for both axes (Qwen2-VL)'],
          ['split', 'every other one (Pixtral)'],
        ],
        default: 'shared',
      },
      {
        key: 'arrangement',
        label: 'pairs of the axes',
        words: [
          ['blocks', 'in blocks'],
          ['alternating', 'alternating'],
          ['apart', 'apart'],
        ],
        default: 'blocks',
      },
      layout('halves'),
    ],
    make: (values, { D, side }) => [
      {
        dim: D,
        theta: numberOf(values, 'theta'),
        layout: String(values.layout),
        frequencies: String(values.frequencies),
        arrangement: String(values.arrangement),
        grid: [side, side],
      },
    ],
  },
  {
    name: 'mrope',
    title: 'M-RoPE (text and image)',
    group: 'rotations',
    look: 'Words, then an image, then words: the image’s cells stand at one time and are a block. Interleaved, rows and columns have fast pairs too, and a lattice shows in it.',
    params: [
      theta(100),
      {
        key: 'arrangement',
        label: 'pairs of the axes',
        words: [
          ['chunked', 'chunked (Qwen2-VL)'],
          ['interleaved', 'interleaved (Qwen3-VL)'],
        ],
        default: 'chunked',
      },
      { key: 'words', label: 'words before the image', least: 0, most: 128, step: 1, default: 24 },
      { key: 'cells', label: 'rows of the image', least: 1, most: 14, step: 1, default: 8 },
      layout('halves'),
    ],
    make: (values, { D, S }) => [
      {
        dim: D,
        theta: numberOf(values, 'theta'),
        layout: String(values.layout),
        sections: [D / 8, (3 * D) / 16, (3 * D) / 16],
        arrangement: String(values.arrangement),
        positions: made('wordsAndImage', S, Math.min(numberOf(values, 'words'), S), numberOf(values, 'cells')),
      },
    ],
  },
];
