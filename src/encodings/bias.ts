import { wrongType } from '../arguments/check.ts';
import { readFloatFile } from '../memory/operands.ts';
import { Tensor, type TensorLike } from '../memory/tensor.ts';
import type { Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/**
 * A dense additive bias: s(i, j) += tensor[b, h, i, j]. The tensor is [B|1, H|1, L|1, S] and is read at each call, f32 in place; one of a
 * safetensors file is copied into the engine's memory for the length of each call. −Infinity hides a key.
 *
 * @throws TypeError, RangeError if it is not a tensor
 * @example
 * ```ts
 * const engine = await createEngine();
 * const encoding = bias(engine.tensor([1, 1, 16, 16]));
 * engine.dispose();
 * ```
 */
export function bias(given: TensorLike): Encoding {
  const tensor = given instanceof Tensor ? given : readFloatFile('bias', 'tensor', given)?.file;
  if (!tensor) throw wrongType('bias', 'tensor', 'a tensor', given);
  return withBiases({ name: 'bias', lower: () => ({ biases: [{ kind: 'dense', tensor }] }) });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'bias',
    formula: 'b = tensor[b, h, i, j]',
    options: 'tensor [B|1, H|1, L|1, S]',
    models: 'anything that comes as a matrix',
    make: bias,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  bias: { kind: 'dense', options: ({ H, L }, { table, engine }) => engine.tensor([1, H, L, L], table([H * L * L])), picture: false },
};
