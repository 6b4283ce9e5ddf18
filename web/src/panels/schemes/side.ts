// One call of attention, as it is written.
import { descriptionOf, isBias, type SchemeChoice, type Sizes } from '../../schemes/describe.ts';
import { type Made, made, type Written } from '../../schemes/written.ts';
import { NO_WINDOW, type Settings } from './settings.ts';

/** Options of a call of attention, as they are written. */
export interface CallOptions {
  readonly encoding?: Made;
  readonly causal?: true | { readonly offset: number };
  readonly window?: { readonly left: number };
  readonly scale?: number;
  readonly softcap?: number;
  readonly [key: string]: Written;
}

/** One call, and what it is called. */
export interface Side {
  readonly title: string;
  readonly options: CallOptions;
  /** The scheme adds a bias that does not depend on q and k. */
  readonly bias: boolean;
}

/** The call of a scheme. */
export function sideOf(choice: SchemeChoice, settings: Settings, sizes: Sizes): Side {
  const description = descriptionOf(choice);
  const scale = description.scale?.(choice.values, sizes);
  const options: CallOptions = {
    ...(choice.name !== 'none' && { encoding: made(choice.name, ...description.make(choice.values, sizes)) }),
    ...(settings.causal && { causal: true as const }),
    ...(settings.left !== NO_WINDOW && { window: { left: settings.left } }),
    ...(scale !== undefined && { scale }),
    ...(settings.softcap > 0 && { softcap: settings.softcap }),
  };
  return { title: description.title, options, bias: isBias(choice) };
}
