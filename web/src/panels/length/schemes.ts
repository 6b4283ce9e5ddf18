// The rows of the panel: six trained models, one of them read in four ways. Words alone: the page's thread needs them too.

/** Bytes of the windows that the models were trained on. */
export const TRAINED = 64;
/** Bytes of the windows that they read here: 1 to 16 times as many. */
export const WINDOWS = [64, 128, 256, 512, 1024] as const;
export const SCHEME_NAMES = ['none', 'sinusoidal', 'shaw', 't5', 'alibi', 'rotary', 'rotary-linear', 'rotary-ntk', 'rotary-yarn'] as const;

export type WindowLength = (typeof WINDOWS)[number];
export type SchemeName = (typeof SCHEME_NAMES)[number];

/** How a model knows where a byte is. */
export interface Scheme {
  readonly title: string;
  /** The file of its weights. */
  readonly file: string;
  /** What it does, in a few words. */
  readonly about: string;
  /** The rotary model with its frequencies changed for long windows, and not trained with them. */
  readonly stretched?: boolean;
}

export const SCHEMES: Readonly<Record<SchemeName, Scheme>> = {
  none: { title: 'none', file: 'none', about: 'no position, only the causal mask' },
  sinusoidal: { title: 'sinusoidal', file: 'sinusoidal', about: 'sines and cosines added to the input' },
  shaw: { title: 'Shaw', file: 'shaw', about: 'a learnt vector for each distance up to 16, one for all beyond' },
  t5: { title: 'T5', file: 't5', about: 'a learnt bias for each of 32 buckets of distance, the last from 64 on' },
  alibi: { title: 'ALiBi', file: 'alibi', about: 'a bias that falls in a straight line with distance' },
  rotary: { title: 'rotary', file: 'rotary', about: 'queries and keys turn with their position' },
  'rotary-linear': {
    title: 'rotary interpolated',
    file: 'rotary',
    about: 'all positions squeezed into the trained range',
    stretched: true,
  },
  'rotary-ntk': {
    title: 'rotary NTK',
    file: 'rotary',
    about: 'a larger base: slow channels squeezed, the fastest kept',
    stretched: true,
  },
  'rotary-yarn': {
    title: 'rotary YaRN',
    file: 'rotary',
    about: 'slow channels squeezed, fast ones kept, a ramp between; sharper attention',
    stretched: true,
  },
};
