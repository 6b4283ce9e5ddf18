// What a choice is to the engine. For workers: the page's own thread has no engine.

import type { Encoding, Engine } from 'relpos';
import * as relpos from 'relpos';
import { descriptionOf, type SchemeChoice } from './describe.ts';
import type { Sizes } from './description.ts';
import * as numbers from './numbers.ts';
import { resolve, type Written } from './written.ts';

type Maker = (...args: readonly unknown[]) => Encoding;

/** The encoding that a constructor makes of written arguments. Tensors among them are the engine's; `owned` takes them, to be disposed of. */
export function makeEncoding(engine: Engine, name: string, args: readonly Written[], owned: { dispose(): void }[]): Encoding | undefined {
  if (name === 'none') return undefined;
  const maker = (relpos as unknown as Readonly<Record<string, Maker>>)[name];
  if (!maker) throw new TypeError(`relpos has no encoding ${name}`);
  const tensor = (shape: readonly number[], data: Float32Array): unknown => {
    const made = engine.tensor(shape, data);
    owned.push(made);
    return made;
  };
  return maker(...args.map((one) => resolve(one, { ...numbers, 'engine.tensor': tensor })));
}

/** The encoding of a choice; undefined for no positions. */
export function encodingOf(engine: Engine, choice: SchemeChoice, sizes: Sizes, owned: { dispose(): void }[]): Encoding | undefined {
  return makeEncoding(engine, choice.name, descriptionOf(choice).make(choice.values, sizes), owned);
}

/** What the call's `scale` must be with it; undefined for the default, 1/√D. */
export function scaleOf(choice: SchemeChoice, sizes: Sizes): number | undefined {
  return descriptionOf(choice).scale?.(choice.values, sizes);
}
