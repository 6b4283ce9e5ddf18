// What transformers' code knows of a model type, from the generated table.

import { describe, wrongValue } from '../arguments/check.ts';
import { type Facts, factsIn } from './fact-lines.ts';
import { MODELS } from './models.ts';

/** The facts of a model type, or undefined if the table has none. */
export const findFacts = (model: string): Facts | undefined => factsIn(MODELS, model);

/** The facts of a model type. @throws RangeError that names what is near */
export function factsOf(where: string, model: string, instead: string): Facts {
  const facts = model === '' ? undefined : findFacts(model);
  if (facts) return facts;
  const near = nearNames(model);
  const question = near.length ? `\nNear it: ${near.join(', ')}.` : '';
  throw wrongValue(
    where,
    'model_type',
    `a type of the table made from transformers 5.18; ${instead}`,
    `${describe(model || undefined)}.${question}`,
  );
}

/** Up to six known names that are like this one. */
function nearNames(model: string): string[] {
  const names = MODELS.split('\n').flatMap((line) => line.split('|')[1]?.split(' ') ?? []);
  const pairs = (name: string): Set<string> =>
    new Set(Array.from({ length: name.length - 1 }, (_, i) => name.slice(i, i + 2).toLowerCase()));
  const own = pairs(model);
  const alike = (name: string): number => {
    const other = pairs(name);
    return (2 * [...own].filter((pair) => other.has(pair)).length) / (own.size + other.size);
  };
  return names
    .map((name) => [alike(name), name] as const)
    .filter(([score]) => score > 0.5)
    .sort(([a], [b]) => b - a)
    .slice(0, 6)
    .map(([, name]) => name);
}
