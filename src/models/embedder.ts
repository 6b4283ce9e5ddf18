// A decoder whose folder says how its rows become a vector (Qwen3-Embedding, E5-mistral): it reads texts as an encoder does, each row sees those
// before it, and nothing is continued.

import type { Blueprint, Stack } from './blueprint.ts';

/** The model as an encoder, without logits. One whose texts begin behind rows of zeros stays what it is. */
export function embedderOf(found: Blueprint): Blueprint {
  const { decoder, logits: _, ...rest } = found;
  const { memory = 0, ...stack } = decoder as Stack;
  return memory > 0 ? found : Object.freeze({ ...rest, kind: 'encoder', encoder: Object.freeze(stack) });
}
