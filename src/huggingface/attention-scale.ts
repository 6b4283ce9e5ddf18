import { integer, options } from '../arguments/check.ts';
import { factsOf } from './facts.ts';
import { type Layer, layerOf } from './layers.ts';
import { queryScaleOf, scaleOf } from './score-scale.ts';
import { textConfig } from './text-config.ts';

/** What `attentionScale` gives. */
export interface AttentionScale {
  /** For the option `scale` of `attention`. */
  readonly scale: number;
  /** By what the query at a position is multiplied, if the model does that; do it to q before `attention`. */
  readonly queryScale?: (position: number) => number;
}

const where = 'attentionScale';

/**
 * How a checkpoint scales its scores: 1/√D, or what its config or its model's code says instead.
 *
 * - `query_pre_attn_scalar`^(−1/2) (Gemma 2 and 3), `attention_multiplier` (Granite), 1 (T5, GPT-Neo, Gemma 3n and 4), `softmax_scale` (MPT)
 * - DeBERTa, SEW-D: 1/√(D·(1 + n)) with n entries of `pos_att_type`
 * - GPT-2 with `scale_attn_by_inverse_layer_idx`: 1/√D/(layer + 1)
 * - DeepSeek-V2/V3 and its relatives with `mscale_all_dim`: m²/√D, m = 0.1·mscale_all_dim·ln(factor) + 1, beside the attention factor of
 *   the rotation
 * - Llama 4, layers without rotation: q at position p times 1 + attn_scale·ln(1 + ⌊(p+1)/floor_scale⌋)
 * - Ministral 3, Mistral 4: q at position p times 1 + llama_4_scaling_beta·ln(1 + ⌊p/M0⌋)
 *
 * @param given `layerType` and `layer` as for `rotaryFromConfig`, where the scale depends on the layer
 * @throws TypeError, RangeError if the model type is unknown, or a key is missing or wrong
 * @example
 * ```ts
 * const { scale } = attentionScale({ model_type: 'gemma2', head_dim: 128, query_pre_attn_scalar: 144 });
 * ```
 */
export function attentionScale(
  config: Readonly<Record<string, unknown>>,
  given: { readonly layerType?: string; readonly layer?: number } = {},
): AttentionScale {
  given = options(where, given, ['layerType', 'layer']);
  const { own, model } = textConfig(where, config);
  const facts = factsOf(where, model, 'the scale of this one is in its own code (docs/porting.md, section 2)');
  if (given.layer !== undefined) integer(where, 'layer', given.layer, 0, 65535);
  const layer = (): Layer => layerOf(where, own, facts, given);
  const queryScale = queryScaleOf(own, facts, layer);
  return { scale: scaleOf(own, facts, layer), ...(queryScale && { queryScale }) };
}
