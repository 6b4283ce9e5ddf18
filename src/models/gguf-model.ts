// What a GGUF file says of its model, as a Hugging Face folder would: config.json, and names of tensors. Architectures are those of LLaMA's layers.

import { quote } from '../cli/text.ts';
import { show } from '../safetensors/header.ts';
import { broken } from './fault.ts';
import type { GgufHeader, GgufValue } from './gguf-file.ts';
import type { JsonObject } from './source.ts';

/** What tells architectures apart. */
interface Architecture {
  /** `model_type` of the config. */
  readonly type: string;
  /** Rows of q and k are stored so that the two numbers that turn together are neighbours. */
  readonly paired?: boolean;
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: { type: 'llama', paired: true },
  qwen2: { type: 'qwen2' },
  qwen3: { type: 'qwen3' },
};

/** Names of a layer's parts, in the file and in a folder. */
const LAYER: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};
const WHOLE: Readonly<Record<string, string>> = { token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' };

/** Keys of the config by the ends of the keys of the file that they are made of. */
const KEYS: Readonly<Record<string, string>> = {
  hidden_size: 'embedding_length',
  num_hidden_layers: 'block_count',
  num_attention_heads: 'attention.head_count',
  num_key_value_heads: 'attention.head_count_kv',
  head_dim: 'attention.key_length',
  intermediate_size: 'feed_forward_length',
  vocab_size: 'vocab_size',
  max_position_embeddings: 'context_length',
  rms_norm_eps: 'attention.layer_norm_rms_epsilon',
  rope_theta: 'rope.freq_base',
  factor: 'rope.scaling.factor',
};

/** Roles of tokens, as the file spells them. */
const ROLES = ['bos', 'eos', 'unknown', 'padding', 'seperator', 'cls', 'mask'];

/** The model of a file. */
export interface GgufModel {
  readonly config: JsonObject;
  /** What is wrong with the config, or with tensors of a folder, of the keys and tensors that they are made of. */
  restate(what: string): string;
  /** Name of a tensor in a folder. @throws RelposError if the model has none of this name */
  nameOf(tensor: string): string;
  /** Heads whose rows are paired in this tensor; 0 if it is stored as a folder has it. */
  pairedHeads(tensor: string): number;
}

/** @throws RelposError `bad-checkpoint` that names the entry that is missing, or not known */
export function modelOf(where: string, file: string, { values, tensors }: GgufHeader): GgufModel {
  const fail = (what: string): never => {
    throw broken(where, file, what);
  };
  const name = values.get('general.architecture');
  const known = typeof name === 'string' && Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (!known) return fail(`"general.architecture" expected one of ${Object.keys(ARCHITECTURES).join(', ')}, got ${show(name)}`);
  const own = (key: string): GgufValue | undefined => values.get(`${name}.${key}`);
  const count = (key: string, otherwise?: number): number => {
    const value = own(key) ?? otherwise;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    return fail(`"${name}.${key}" expected a whole number from 1, got ${show(value)}`);
  };
  const number = (key: string, otherwise?: number): number => {
    const value = own(key) ?? otherwise;
    // What was written as f32 is meant as the decimal number that it is nearest to.
    return Number.isFinite(value)
      ? Number((value as number).toPrecision(7))
      : fail(`"${name}.${key}" expected a finite number, got ${show(value)}`);
  };
  const there = new Set(tensors.map((tensor) => tensor.name));
  if (number('expert_count', 0) > 0) fail(`"${name}.expert_count": models with experts are not run`);
  if (Number(values.get('split.count') ?? 0) > 1) fail('"split.count": it is one of several files; merge them (llama-gguf-split --merge)');
  if (there.has('rope_freqs.weight'))
    fail('tensor "rope_freqs.weight": rotations with factors of their own are not read; load the original checkpoint');
  const heads = count('attention.head_count');
  const keyHeads = count('attention.head_count_kv', heads);
  if (heads % keyHeads) fail(`"${name}.attention.head_count_kv" expected a divisor of the ${heads} heads, got ${keyHeads}`);
  const width = count('embedding_length');
  const headWidth = count('attention.key_length', Math.floor(width / heads));
  if (count('rope.dimension_count', headWidth) !== headWidth)
    fail(`"${name}.rope.dimension_count" expected ${headWidth}, got ${show(own('rope.dimension_count'))}`);
  const scaling = own('rope.scaling.type') ?? 'none';
  if (scaling !== 'none' && scaling !== 'linear') fail(`"${name}.rope.scaling.type" expected none or linear, got ${show(scaling)}`);
  const tokens = values.get('tokenizer.ggml.tokens');
  const listed = Array.isArray(tokens) ? tokens.length : undefined;
  const vocabulary = count('vocab_size', listed);
  if ((listed ?? 0) > vocabulary) fail(`"tokenizer.ggml.tokens" expected at most ${vocabulary} tokens, got ${listed}`);
  for (const role of ROLES) {
    const key = `tokenizer.ggml.${role}_token_id`;
    const id = values.get(key) ?? 0;
    const fits = Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabulary;
    if (!fits) fail(`"${key}" expected a token in 0 … ${vocabulary - 1}, got ${show(id)}`);
  }
  return {
    config: {
      model_type: known.type,
      hidden_size: width,
      num_hidden_layers: count('block_count'),
      num_attention_heads: heads,
      num_key_value_heads: keyHeads,
      head_dim: headWidth,
      intermediate_size: count('feed_forward_length'),
      vocab_size: vocabulary,
      max_position_embeddings: count('context_length'),
      rms_norm_eps: number('attention.layer_norm_rms_epsilon'),
      rope_theta: number('rope.freq_base', 10000),
      ...(scaling === 'linear' && { rope_scaling: { rope_type: 'linear', factor: number('rope.scaling.factor') } }),
      hidden_act: 'silu',
      tie_word_embeddings: !there.has('output.weight'),
      attention_bias: there.has('blk.0.attn_q.bias'),
      ...idsOf(values),
    },
    restate: (what) =>
      what
        .replace(/^(config\.json|checkpoint): /, `${quote(file)}: `)
        .replace(/"(?:[\w.]+\.)?(\w+)"/g, (said, key) => (Object.hasOwn(KEYS, key) ? `"${name}.${KEYS[key]}"` : said))
        .replace(/(?:model\.layers\.(\d+)\.)?\b([\w.]+)\.(weight|bias)\b/g, (said, layer, part, last) => {
          const [own] = Object.entries(layer === undefined ? WHOLE : LAYER).find(([, one]) => one === part) ?? [];
          return own === undefined ? said : `${layer === undefined ? '' : `blk.${layer}.`}${own}.${last}`;
        }),
    nameOf: (tensor) => {
      const [, layer, part, last] = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(tensor) ?? [];
      const names = layer === undefined ? WHOLE : LAYER;
      if (part === undefined || !Object.hasOwn(names, part)) return fail(`tensor ${quote(tensor)} is none that ${name} is known to have`);
      return `${layer === undefined ? '' : `model.layers.${layer}.`}${names[part]}.${last}`;
    },
    pairedHeads: (tensor) => {
      const [, part] = (known.paired && /^blk\.\d+\.attn_([qk])\.(weight|bias)$/.exec(tensor)) || [];
      return part === undefined ? 0 : part === 'q' ? heads : keyHeads;
    },
  };
}

/** Numbers of the tokens that begin and end a text. */
export function idsOf(values: GgufHeader['values']): JsonObject {
  const id = (role: string): GgufValue | undefined => values.get(`tokenizer.ggml.${role}_token_id`);
  const [begin, end] = [id('bos'), id('eos')];
  return { ...(begin !== undefined && { bos_token_id: begin }), ...(end !== undefined && { eos_token_id: end }) };
}
