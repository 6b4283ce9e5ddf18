// What is computed: one call of attention, or two that are compared.
import { descriptionOf, type Sizes, shareSizes, sizesFor } from '../../schemes/describe.ts';
import type { InputSettings } from '../../schemes/inputs.ts';
import { findMistake } from './mistakes.ts';
import type { Settings } from './settings.ts';
import { type Side, sideOf } from './side.ts';

/** All that the worker needs. */
export interface Request {
  readonly sizes: Sizes;
  /** The tokens are the cells of a window. */
  readonly windows: boolean;
  readonly inputs: InputSettings;
  readonly head: number;
  readonly sides: readonly Side[];
}

/** The same scheme twice has two names. */
const numbered = (side: Side, again: boolean): Side => (again ? { ...side, title: `${side.title}, second` } : side);

/** What to compute with these settings: a scheme, two, or a scheme as it should be and with a mistake. */
export function requestOf(settings: Settings): Request {
  const { first, second, asked, inputs, head } = settings;
  const mistake = findMistake(settings.mistake);
  const choices = !mistake && second && shareSizes([first, second]) ? [first, second] : [first];
  const sizes = sizesFor(asked, choices);
  const sides = choices.map((choice, n) => numbered(sideOf(choice, settings, sizes), n > 0 && choice.name === first.name));
  const [own] = sides as [Side];
  const pair = mistake
    ? [
        { ...own, title: 'right' },
        { ...mistake.wrong(own, settings, sizes), title: 'wrong' },
      ]
    : sides;
  const windows = choices.some((choice) => descriptionOf(choice).form !== undefined);
  return { sizes, windows, inputs, head: Math.min(head, sizes.H - 1), sides: pair };
}

/** What keeps the second scheme from being shown. */
export function obstacle({ first, second, mistake }: Settings): string | undefined {
  if (!second || findMistake(mistake) || shareSizes([first, second])) return undefined;
  return 'One of these windows has a class token and the other has none: they have no queries and keys in common, so only the first is shown.';
}
