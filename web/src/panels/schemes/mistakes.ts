// The classic mistakes: each is a call with a wrong option handed in, beside the right one.
import { choose, descriptionOf, type SchemeChoice, type Sizes } from '../../schemes/describe.ts';
import { type Made, made, type Written } from '../../schemes/written.ts';
import { readSettings, type Settings, withFirst, withSizes } from './settings.ts';
import type { Side } from './side.ts';

export interface Mistake {
  readonly name: string;
  readonly title: string;
  /** What one sees. */
  readonly look: string;
  /** Settings that show it. */
  readonly start: (settings: Settings) => Settings;
  /** Whether these settings are of what its words speak of. */
  readonly fits: (settings: Settings) => boolean;
  /** Why right and wrong are the same with settings that fit; undefined where they are not. */
  readonly same?: (settings: Settings) => string | undefined;
  /** The right call made wrong. */
  readonly wrong: (right: Side, settings: Settings, sizes: Sizes) => Side;
}

/** The scheme if it is there already, with the values that show the mistake; else as it begins. */
const scheme = (settings: Settings, name: string, values: SchemeChoice['values'] = {}): Settings =>
  withFirst(settings, choose(name, { ...(settings.first.name === name && settings.first.values), ...values }));

/** The call with other options of its encoding. */
function withOptions(side: Side, change: (options: { readonly [key: string]: Written }) => { readonly [key: string]: Written }): Side {
  const { encoding } = side.options;
  if (!encoding) return side;
  const [options, ...more] = encoding.with;
  const changed: Made = { ...encoding, with: [change(options as { readonly [key: string]: Written }), ...more] };
  return { ...side, options: { ...side.options, encoding: changed } };
}

export const mistakes: readonly Mistake[] = [
  {
    name: 'halves',
    title: 'Halves for pairs: the wrong layout',
    look: 'Right, the score falls slowly. Wrong, channels that were trained to turn slowly sit in fast pairs, and it falls several times as fast. It still depends on the distance alone, so nothing fails: the model just makes no sense.',
    start: (settings) => ({
      ...scheme(settings, 'rotary', { layout: 'halves', part: 1 }),
      inputs: { ...settings.inputs, shared: 'slow', spread: 0 },
    }),
    fits: ({ first }) => first.name === 'rotary' && first.values.layout === 'halves',
    same: ({ inputs }) =>
      inputs.shared === 'ones' && inputs.spread === 0
        ? 'Tokens of ones have the same in every channel, so both are the same here: let them share strong slow channels.'
        : undefined,
    wrong: (right) => withOptions(right, (options) => ({ ...options, layout: options.layout === 'pairs' ? 'halves' : 'pairs' })),
  },
  {
    name: 'causal',
    title: 'Causal from the top left (L ≠ S)',
    look: 'Right, the last query sees the last key: the edge ends in the bottom right corner. Wrong, it starts in the top left one: the first query sees one key only, and nobody sees the newest keys.',
    start: (settings) => {
      const square = descriptionOf(settings.first).form !== undefined;
      const own = square ? scheme(settings, 'alibi') : settings;
      const { L, S } = own.asked;
      return { ...(S - L < S / 8 ? withSizes(own, { S: 160, L: 96 }) : own), causal: true };
    },
    fits: ({ causal, first }) => causal && descriptionOf(first).form === undefined,
    same: ({ asked: { L, S } }) =>
      L === S ? 'With as many queries as keys both are the same: give it more keys, or fewer queries.' : undefined,
    wrong: (right) => ({ ...right, options: { ...right.options, causal: { offset: 0 } } }),
  },
  {
    name: 'bucket',
    title: 'A T5 bucket too far',
    look: 'Wrong, each distance reads the number of the next bucket: the diagonal loses its own, and the farthest keys before the query read the first number of the other direction, so the far corner lights up.',
    start: (settings) => scheme(settings, 't5', { directions: 'two' }),
    fits: ({ first }) => first.name === 't5' && first.values.directions === 'two',
    wrong: (right, _, { H }) => withOptions(right, (options) => ({ ...options, table: made('oneTooFar', options.table, H) })),
  },
  {
    name: 'slopes',
    title: 'ALiBi slopes of 6 heads',
    look: 'Slopes of a number of heads that is no power of two are those of the next lower one and then every other of the next higher. Wrong, 2^(−8h/H) is taken for all: every head sees a distance it was not trained for, the last ones hardly any fall at all.',
    start: (settings) => ({ ...withSizes(scheme(settings, 'alibi', { maxBias: 8 }), { H: 6 }), head: 5, causal: true }),
    fits: ({ first }) => first.name === 'alibi' && first.values.maxBias === 8,
    same: ({ asked: { H } }) =>
      Number.isInteger(Math.log2(H)) ? `${H} is a power of two, where both are the same: choose another number of heads.` : undefined,
    wrong: (right, _, { H }) => withOptions(right, () => ({ heads: H, slopes: made('plainSlopes', H) })),
  },
  {
    name: 'scaling',
    title: 'Linear scaling without its factor',
    look: 'The model was trained with positions divided by its factor. Wrong, they are not: the curve is pressed together by the factor, and a key that is near looks as if it were far.',
    start: (settings) => scheme(settings, 'rotary', { scaling: 'linear', factor: 4 }),
    fits: ({ first }) => first.name === 'rotary' && first.values.scaling === 'linear',
    same: ({ first }) => (first.values.factor === 1 ? 'A factor of 1 scales nothing, so both are the same here.' : undefined),
    wrong: (right) => withOptions(right, (options) => ({ ...options, scaling: undefined })),
  },
];

/** The mistake of that name; undefined if it is none. */
export const findMistake = (name: string): Mistake | undefined => mistakes.find((one) => one.name === name);

/** The same settings without a mistake that they are not of: its words would not be true of them. */
export const fitting = (settings: Settings): Settings =>
  settings.mistake === 'none' || findMistake(settings.mistake)?.fits(settings) ? settings : { ...settings, mistake: 'none' };

/** The settings of an address. One that names a mistake and no scheme shows the mistake; one whose scheme is another's shows the scheme. */
export function readFitting(words: Readonly<Record<string, string>>): Settings {
  const settings = readSettings(words);
  const mistake = words.a === undefined ? findMistake(settings.mistake) : undefined;
  return mistake && !mistake.fits(settings) ? { ...mistake.start(settings), mistake: mistake.name } : fitting(settings);
}
