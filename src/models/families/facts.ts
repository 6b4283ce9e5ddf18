// What transformers' code knows of the model types that families have, beside their configs: their lines of the table in
// src/huggingface/models.ts, which is too long to come along with one model.

import { type Facts, factsIn } from '../../huggingface/fact-lines.ts';
import { layerOf } from '../../huggingface/layers.ts';
import { ropeParameters } from '../../huggingface/rope-parameters.ts';
import { scaleOf } from '../../huggingface/score-scale.ts';
import { textRotation } from '../../huggingface/text-rotation.ts';
import type { Encoding } from '../../plan/plan.ts';
import type { Config } from '../config.ts';

/** Kept by hand, and compared with the table by a test. */
export const LINES = `hidden=d_model/hidden_size:2048 heads=n_heads/num_attention_heads:16 scale=nested:softmax_scale|mpt
hidden=n_embd/hidden_size:768 heads=n_head/num_attention_heads:12 scale=switch:scale_attn_weights:layers|gpt2
layout=halves head=head_dim:128 max=32768|qwen3
layout=halves head=head_dim:256 max=8192|gemma
layout=halves head=head_dim:256 max=8192 scale=scalar:query_pre_attn_scalar:256|gemma2
layout=halves head=head_dim:256 rope={"sliding_attention":{},"full_attention":{}} theta=sliding_attention:10000,full_attention:1e+06 thetaKey=full_attention:rope_theta,sliding_attention:rope_local_base_freq scaled=full_attention partKey= max=131072 scale=scalar:query_pre_attn_scalar:256 layers=last,full_attention,sliding_attention,6,sliding_window_pattern|gemma3_text
layout=halves hidden=hidden_size:2048 heads=num_attention_heads:16 head=head_dim theta=2e+06 max=32768 off=listed|smollm3
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=131072|mistral
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=2048|llama olmo2
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=2048 scale=key:attention_multiplier:1|granite
layout=halves hidden=hidden_size:4096 heads=num_attention_heads:32 head=head_dim max=32768|qwen2
layout=halves hidden=hidden_size:4544 heads=num_attention_heads:71 max=2048|falcon
layout=halves hidden=hidden_size:768 heads=num_attention_heads:12 head=head_dim theta=1000 max=2048|nomic_bert
layout=halves hidden=hidden_size:768 heads=num_attention_heads:12 rope={"sliding_attention":{},"full_attention":{}} theta=sliding_attention:10000,full_attention:160000 thetaKey=full_attention:global_rope_theta,sliding_attention:local_rope_theta scaled=full_attention,sliding_attention partKey= max=8192 layers=first,full_attention,sliding_attention,3,global_attn_every_n_layers|modernbert
layout=halves partly hidden=hidden_size:3072 heads=num_attention_heads:32 head=head_dim max=4096 trained=4096 su|phi3
layout=halves partly hidden=hidden_size:6144 heads=num_attention_heads:64 thetaKey=rotary_emb_base partKey=rotary_pct part=0.25 max=2048|gpt_neox
layout=pairs hidden=hidden_size:8192 heads=num_attention_heads:64 theta=500000 max=8192|cohere
layout=pairs partly hidden=n_embd/hidden_size:4096 heads=n_head/num_attention_heads:16 max=2048 rot=rotary_dim:64|gptj`;

function factsOf({ raw: { model_type: type } }: Config): { readonly type: string; readonly facts: Facts } {
  return { type: type as string, facts: factsIn(LINES, type as string) as Facts };
}

/** The rotation of a layer: what `rotaryFromConfig` gives. @throws TypeError, RangeError as that does, of config.json */
export function rotationOf(config: Config, layer: number): Encoding {
  const { type, facts } = factsOf(config);
  return ofConfig(() => textRotation(config.raw, type, facts, { layer }));
}

/** Tokens of a text beyond which a layer's rotation is another for all of them, if there are so many. */
export function rotationChange(config: Config, layer: number): number | undefined {
  const { facts } = factsOf(config);
  const where = 'rotaryFromConfig';
  const parameters = ofConfig(() => ropeParameters(where, config.raw, facts, layerOf(where, config.raw, facts, { layer })));
  return parameters?.rope_type === 'longrope' ? (parameters.original_max_position_embeddings as number) : undefined;
}

/** The scale of a layer's scores: what `attentionScale` gives. @throws TypeError, RangeError as that does, of config.json */
export function scoreScale(config: Config, layer?: number): number {
  const { facts } = factsOf(config);
  return ofConfig(() => scaleOf(config.raw, facts, () => layerOf('attentionScale', config.raw, facts, { layer })));
}

/** What those calls would say of their argument is said of the file that it comes from. */
function ofConfig<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replace(/^(rotaryFromConfig|attentionScale)(?=: )/, 'config.json');
    throw error;
  }
}
