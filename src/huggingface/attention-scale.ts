import { integer, options, wrongType } from '../arguments/check.ts';
import { count, type HfConfig, headDim, isRecord, layerTypeAt, number, textConfig } from './config.ts';
import { logarithm } from './logarithm.ts';
import { ropeParameters } from './rope-parameters.ts';
import { turns } from './rotary-from-config.ts';
import { TRAILING } from './rotary-models.ts';

/** What `attentionScale` gives. */
export interface AttentionScale {
  /** For the option `scale` of `attention`. */
  readonly scale: number;
  /** By what the query at a position is multiplied, if the model does that; do it to q before `attention`. */
  readonly queryScale?: (position: number) => number;
}

/** Models that leave q·k as it is. */
const UNSCALED = new Set(
  [
    'diffusion_gemma diffusion_gemma_text gemma3n gemma3n_text gemma4 gemma4_text gemma4_unified gemma4_unified_text dia dia_decoder',
    'dia_encoder longt5 mt5 pix2struct_text_model pop2piano switch_transformers t5 udop umt5',
  ].flatMap((names) => names.split(' ')),
);
/** Models whose scale is `query_pre_attn_scalar`^(−1/2), by default 256. */
const PRE_SCALAR = new Set(
  'gemma2 gemma3 gemma3_text t5gemma t5_gemma_module t5gemma2_text t5gemma2_encoder t5gemma2_decoder vaultgemma'.split(' '),
);

const where = 'attentionScale';

/**
 * How a checkpoint scales its scores: 1/√D, or what its config says instead.
 *
 * - `query_pre_attn_scalar`^(−1/2) (Gemma 2 and 3), `attention_multiplier` (Granite), 1 (T5, Gemma 3n and 4)
 * - DeepSeek-V2/V3 and its relatives with `mscale_all_dim`: m²/√D, m = 0.1·mscale_all_dim·ln(factor) + 1, beside the attention factor of
 *   the rotation
 * - Llama 4, layers without rotation: q at position p times 1 + attn_scale·ln(1 + ⌊(p+1)/floor_scale⌋)
 * - Ministral 3, Mistral 4: q at position p times 1 + llama_4_scaling_beta·ln(1 + ⌊p/M0⌋)
 *
 * @param given `layerType` and `layer` as for `rotaryFromConfig`
 * @throws TypeError, RangeError if a key is missing or wrong
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
  const own = textConfig(where, config);
  const model = typeof own.model_type === 'string' ? own.model_type : '';
  const layer = given.layer === undefined ? undefined : integer(where, 'layer', given.layer, 0, 65535);
  const layerType = given.layerType ?? layerTypeAt(where, own, layer);
  const queryScale = queryScaleOf(own, model, layerType, layer);
  return { scale: scaleOf(own, model, layerType), ...(queryScale && { queryScale }) };
}

function scaleOf(config: HfConfig, model: string, layerType: string | undefined): number {
  if (UNSCALED.has(model)) return 1;
  const multiplier = number(where, config, 'attention_multiplier');
  if (multiplier !== undefined) return multiplier;
  const scalar = number(where, config, 'query_pre_attn_scalar') ?? (PRE_SCALAR.has(model) ? 256 : undefined);
  if (scalar !== undefined) return 1 / Math.sqrt(scalar);
  const turning = count(where, config, 'qk_rope_head_dim');
  if (!TRAILING.has(model) || model === 'deepseek_v4' || turning === undefined) return 1 / Math.sqrt(headDim(where, config));
  const passing = count(where, config, 'qk_nope_head_dim');
  if (passing === undefined) throw wrongType(where, 'qk_nope_head_dim', 'a number beside qk_rope_head_dim', passing);
  const m = mscale(config, model, layerType);
  return (m * m) / Math.sqrt(passing + turning);
}

/** DeepSeek's m. */
function mscale(config: HfConfig, model: string, layerType: string | undefined): number {
  const parameters = ropeParameters(where, config, model, layerType);
  if (!parameters || parameters.rope_type === 'default') return 1;
  const all = number(where, parameters, 'mscale_all_dim');
  const factor = number(where, parameters, 'factor') ?? 1;
  return all && factor > 1 ? 0.1 * all * logarithm(factor) + 1 : 1;
}

function queryScaleOf(
  config: HfConfig,
  model: string,
  layerType: string | undefined,
  layer: number | undefined,
): ((position: number) => number) | undefined {
  if (model === 'llama4' || model === 'llama4_text') {
    if (config.attn_temperature_tuning === false || config.attn_temperature_tuning === 0) return undefined;
    if (layer === undefined) throw wrongType(where, 'layer', "the layer's number: only some layers of Llama 4 scale their queries", layer);
    if (turns(config, model, layerType, layer)) return undefined;
    const step = number(where, config, 'floor_scale') ?? 8192;
    const slope = number(where, config, 'attn_scale') ?? 0.1;
    return (position) => 1 + slope * logarithm(1 + Math.floor((position + 1) / step));
  }
  if (!isRecord(config.rope_parameters) && !isRecord(config.rope_scaling)) return undefined;
  const parameters = ropeParameters(where, config, model, layerType);
  const beta = parameters && number(where, parameters, 'llama_4_scaling_beta');
  if (!parameters || !beta) return undefined;
  const trained = number(where, parameters, 'original_max_position_embeddings');
  if (trained === undefined) throw wrongType(where, 'original_max_position_embeddings', 'a number beside llama_4_scaling_beta', trained);
  return (position) => 1 + beta * logarithm(1 + Math.floor(position / trained));
}
