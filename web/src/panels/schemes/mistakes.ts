// The classic mistakes: each is a call with a wrong option handed in, beside the right one.
import { choose, descriptionOf, type SchemeChoice, type Sizes } from '../../schemes/describe.ts';
import { type Made, made, type Written } from '../../schemes/written.ts';
import { type Settings, withFirst, withSizes } from './settings.ts';
import type { Side } from './side.ts';

export interface Mistake {
  readonly name: string;
  readonly title: string;
  /** What one sees. */
  readonly look: string;
  /** Settings that show it. */
  readonly start: (settings: Settings) => Settings;
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
    wrong: (right) => ({ ...right, options: { ...right.options, causal: { offset: 0 } } }),
  },
  {
    name: 'bucket',
    title: 'A T5 bucket too far',
    look: 'Wrong, each distance reads the number of the next bucket: the diagonal loses its own, and the farthest keys before the query read the first number of the other direction, so the far corner lights up.',
    start: (settings) => scheme(settings, 't5', { directions: 'two' }),
    wrong: (right, _, { H }) => withOptions(right, (options) => ({ ...options, table: made('oneTooFar', options.table, H) })),
  },
  {
    name: 'slopes',
    title: 'ALiBi slopes of 6 heads',
    look: 'Slopes of a number of heads that is no power of two are those of the next lower one and then every other of the next higher. Wrong, 2^(−8h/6) is taken for all: every head sees a distance it was not trained for, the last ones hardly any fall at all.',
    start: (settings) => ({ ...withSizes(scheme(settings, 'alibi', { maxBias: 8 }), { H: 6 }), head: 5, causal: true }),
    wrong: (right, _, { H }) => withOptions(right, () => ({ heads: H, slopes: made('plainSlopes', H) })),
  },
  {
    name: 'scaling',
    title: 'Linear scaling without its factor',
    look: 'The model was trained with positions divided by its factor. Wrong, they are not: the curve is pressed together by the factor, and a key that is near looks as if it were far.',
    start: (settings) => scheme(settings, 'rotary', { scaling: 'linear', factor: 4 }),
    wrong: (right) => withOptions(right, (options) => ({ ...options, scaling: undefined })),
  },
];

/** The mistake of that name; undefined if it is none. */
export const findMistake = (name: string): Mistake | undefined => mistakes.find((one) => one.name === name);
