// LLaMA and those who have its layers, each with a few traits of its own: Mistral, Qwen 2 and 3, SmolLM 3, Gemma 1, 2 and 3, Granite, OLMo 2,
// and Cohere, whose parallel block with one norm is PaLM's.

import type { Attention, Layer, Linear, Mlp, Norm } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { scoreScale } from './facts.ts';
import { attention, backward, causalHead, type Family, layerType, type Parts } from './parts.ts';
import { rotations } from './rotations.ts';

/** What tells one of them from LLaMA. */
interface Traits {
  /** Biases of q, k and v, of the output, of the MLP: fixed, or a key of the config. Default none. */
  readonly bias?: boolean | string;
  readonly outputBias?: boolean | string;
  readonly mlpBias?: string;
  /** `layer`: LayerNorm without bias. */
  readonly norm?: 'layer';
  readonly epsilon?: readonly [string, number];
  /** Added to the weights of norms. */
  readonly offset?: number;
  /** Where norms stand. Default before. */
  readonly place?: 'sandwich' | 'after' | 'parallel';
  /** Norm of q and k. */
  readonly headNorm?: 'head' | 'all';
  readonly activation?: readonly [string, string];
  /** Default: tied only if the config says so. */
  readonly tied?: boolean;
  /** Keys seen in a layer of a type, if limited. */
  readonly window?: (config: Config, layer: number) => number | undefined;
  /** Type of a layer, where rotations differ. */
  readonly kind?: (config: Config, layer: number) => string;
  /** Multiplies the embeddings. */
  readonly embeddings?: (config: Config) => number;
  /** Multiplies what a sub-layer adds. */
  readonly residual?: (config: Config) => number;
  /** Multiplies the logits. */
  readonly logits?: (config: Config) => number;
  /** Key heads and head width where the config does not say. */
  readonly keyHeads?: number;
  readonly headWidth?: number;
  /** Softcaps of scores and logits where the config does not say. */
  readonly softcaps?: readonly [number, number];
  /** What the config may not say. */
  readonly refuse?: (config: Config) => void;
}

/** Keys that a layer with a window sees. */
const windowOf = (config: Config): number | undefined => config.limit('sliding_window', 'count', 4096);

/** Qwen: the window is off unless `use_sliding_window`; then the layers from `max_window_layers` on have it. */
function qwenWindow(config: Config, layer: number): number | undefined {
  if (!config.flag('use_sliding_window', false)) return undefined;
  const kind = layerType(config, layer, layer >= config.count('max_window_layers', 28, 0));
  return kind === 'sliding_attention' ? windowOf(config) : undefined;
}

const listedKind = (config: Config, layer: number, period: number): string => layerType(config, layer, (layer + 1) % period !== 0);

const ofKind =
  (kind: (config: Config, layer: number) => string) =>
  (config: Config, layer: number): number | undefined =>
    kind(config, layer) === 'sliding_attention' ? windowOf(config) : undefined;

const gemma2Kind = (config: Config, layer: number): string => listedKind(config, layer, 2);
const gemma3Kind = (config: Config, layer: number): string => listedKind(config, layer, config.count('sliding_window_pattern', 6));

const GEMMA: Traits = {
  bias: 'attention_bias',
  outputBias: 'attention_bias',
  offset: 1,
  headWidth: 256,
  tied: true,
  embeddings: (config) => Math.sqrt(config.count('hidden_size')),
};

const TRAITS: Readonly<Record<string, Traits>> = {
  llama: { bias: 'attention_bias', outputBias: 'attention_bias', mlpBias: 'mlp_bias' },
  mistral: { window: windowOf, keyHeads: 8 },
  qwen2: { bias: true, window: qwenWindow },
  qwen3: { bias: 'attention_bias', outputBias: 'attention_bias', headNorm: 'head', headWidth: 128, window: qwenWindow },
  smollm3: {
    bias: 'attention_bias',
    outputBias: 'attention_bias',
    mlpBias: 'mlp_bias',
    tied: true,
    keyHeads: 4,
    kind: (config, layer) =>
      String(config.list('no_rope_layers')?.[layer] ?? (layer + 1) % config.count('no_rope_layer_interval', 4) !== 0),
    refuse: (config) => config.only('use_sliding_window', false),
  },
  gemma: {
    ...GEMMA,
    activation: ['hidden_act', 'gelu_pytorch_tanh'],
    refuse: (config) => config.only('use_bidirectional_attention', false),
  },
  gemma2: {
    ...GEMMA,
    place: 'sandwich',
    activation: ['hidden_activation', 'gelu_pytorch_tanh'],
    softcaps: [50, 30],
    kind: gemma2Kind,
    window: ofKind(gemma2Kind),
    refuse: (config) => config.only('use_bidirectional_attention', false),
  },
  gemma3_text: {
    ...GEMMA,
    place: 'sandwich',
    headNorm: 'head',
    activation: ['hidden_activation', 'gelu_pytorch_tanh'],
    kind: gemma3Kind,
    window: ofKind(gemma3Kind),
  },
  granite: {
    bias: 'attention_bias',
    outputBias: 'attention_bias',
    mlpBias: 'mlp_bias',
    embeddings: (config) => config.factor('embedding_multiplier', 1),
    residual: (config) => config.factor('residual_multiplier', 1),
    logits: (config) => 1 / config.factor('logits_scaling', 1),
  },
  olmo2: { bias: 'attention_bias', outputBias: 'attention_bias', place: 'after', headNorm: 'all', epsilon: ['rms_norm_eps', 1e-5] },
  cohere: {
    bias: 'attention_bias',
    outputBias: 'attention_bias',
    norm: 'layer',
    epsilon: ['layer_norm_eps', 1e-5],
    place: 'parallel',
    tied: true,
    logits: (config) => config.factor('logit_scale', 0.0625),
    refuse: (config) => config.only('use_qk_norm', false),
  },
};

interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
  readonly inner: number;
  readonly epsilon: number;
}

function sizesOf(config: Config, traits: Traits): Sizes {
  const width = config.count('hidden_size');
  const heads = config.count('num_attention_heads');
  const [key, fallback] = traits.epsilon ?? ['rms_norm_eps', 1e-6];
  return {
    width,
    heads,
    keyHeads: config.keyHeads(heads, 'num_key_value_heads', traits.keyHeads ?? heads),
    headWidth: config.headWidth(width, heads, 'head_dim', traits.headWidth),
    inner: config.count('intermediate_size'),
    epsilon: config.factor(key, fallback),
  };
}

const biased = (config: Config, said: boolean | string | undefined): boolean =>
  typeof said === 'string' ? config.flag(said, false) : (said ?? false);

/** Attention and MLP of one layer, without norms. */
function coreOf(config: Config, weights: Tensors, traits: Traits, sizes: Sizes): { attended: Attention; mlp: Mlp } {
  const { width, heads, keyHeads, headWidth, inner, epsilon } = sizes;
  const of = (name: string, input: number, output: number, bias: boolean): Linear => weights.linear(name, input, output, { bias });
  const bias = biased(config, traits.bias);
  const headNorm = (name: string, count: number) =>
    traits.headNorm === 'all'
      ? ({ ...weights.rmsNorm(name, count * headWidth, epsilon, traits.offset), over: 'all' } as const)
      : weights.headNorm(name, headWidth, epsilon, traits.offset);
  const mlpBias = biased(config, traits.mlpBias);
  return {
    attended: attention({
      heads,
      keyHeads,
      headWidth,
      query: of('self_attn.q_proj', width, heads * headWidth, bias),
      key: of('self_attn.k_proj', width, keyHeads * headWidth, bias),
      value: of('self_attn.v_proj', width, keyHeads * headWidth, bias),
      output: of('self_attn.o_proj', heads * headWidth, width, biased(config, traits.outputBias)),
      ...(traits.headNorm && {
        queryNorm: headNorm('self_attn.q_norm', heads),
        keyNorm: headNorm('self_attn.k_norm', keyHeads),
      }),
    }),
    mlp: {
      activation: config.activation(...(traits.activation ?? (['hidden_act', 'silu'] as const))),
      gate: of('mlp.gate_proj', width, inner, mlpBias),
      up: of('mlp.up_proj', width, inner, mlpBias),
      down: of('mlp.down_proj', inner, width, mlpBias),
    },
  };
}

/** The norms of a layer around attention and MLP. */
function placed(weights: Tensors, traits: Traits, attended: Attention, mlp: Mlp, norm: (weights: Tensors, name: string) => Norm): Layer {
  const of = (name: string): Norm => norm(weights, name);
  switch (traits.place) {
    case 'sandwich':
      return {
        attention: { ...attended, before: of('input_layernorm'), after: of('post_attention_layernorm') },
        mlp: { ...mlp, before: of('pre_feedforward_layernorm'), after: of('post_feedforward_layernorm') },
        parallel: false,
      };
    case 'after':
      return {
        attention: { ...attended, after: of('post_attention_layernorm') },
        mlp: { ...mlp, after: of('post_feedforward_layernorm') },
        parallel: false,
      };
    case 'parallel': {
      const before = of('input_layernorm');
      return { attention: { ...attended, before }, mlp: { ...mlp, before }, parallel: true };
    }
    default:
      return {
        attention: { ...attended, before: of('input_layernorm') },
        mlp: { ...mlp, before: of('post_attention_layernorm') },
        parallel: false,
      };
  }
}

function read(config: Config, index: TensorIndex): Parts {
  const type = config.text('model_type');
  const traits = TRAITS[type] as Traits;
  traits.refuse?.(config);
  const sizes = sizesOf(config, traits);
  const { width, epsilon } = sizes;
  const head = new Tensors(index);
  const weights = head.under(['model.', '', 'language_model.model.', 'model.language_model.'], 'embed_tokens.weight');
  const norm = (from: Tensors, name: string): Norm =>
    traits.norm === 'layer' ? from.layerNorm(name, width, epsilon, false) : from.rmsNorm(name, width, epsilon, traits.offset);
  const turned = rotations(config);
  // EmbeddingGemma sees both ways; its window counts half of the keys on each side. So do embedding models made of decoders (gte-Qwen2), without windows.
  const gemma = type === 'gemma3_text';
  const both = gemma ? config.flag('use_bidirectional_attention', false) : !config.flag('is_causal', true);
  const [softcap, last] = (['attn_logit_softcapping', 'final_logit_softcapping'] as const).map((key, n) =>
    config.limit(key, 'factor', traits.softcaps?.[n]),
  ) as [number | undefined, number | undefined];
  const multiplier = traits.residual?.(config) ?? 1;
  const layers = Array.from({ length: config.count('num_hidden_layers') }, (_, n): Layer => {
    const from = weights.at(`layers.${n}`);
    const { attended, mlp } = coreOf(config, from, traits, sizes);
    const keys = traits.window?.(config, n);
    if (keys !== undefined && !gemma) config.only('is_causal', true);
    const half = keys === undefined ? 0 : Math.floor(keys / 2);
    return placed(
      from,
      traits,
      {
        ...attended,
        scale: scoreScale(config, n),
        causal: !both,
        positions: [turned(n, traits.kind?.(config, n))],
        ...(keys !== undefined && { window: both ? { left: half, right: half } : backward(keys) }),
        ...(softcap !== undefined && { softcap }),
        ...(multiplier !== 1 && { multiplier }),
      },
      { ...mlp, ...(multiplier !== 1 && { multiplier }) },
      norm,
    );
  });
  const vocabulary = config.count('vocab_size');
  const scale = traits.embeddings?.(config) ?? 1;
  const embeddings = { token: weights.tensor('embed_tokens.weight', [vocabulary, width]), ...(scale !== 1 && { scale }) };
  const stack = { embeddings, layers, norm: norm(weights, 'norm') };
  const logits = traits.logits?.(config) ?? 1;
  return {
    kind: both ? 'encoder' : 'decoder',
    width,
    vocabulary,
    tokens: config.tokens(),
    ...(both ? { encoder: stack } : { decoder: stack }),
    logits: both
      ? undefined
      : causalHead(head, 'lm_head', embeddings, config.flag('tie_word_embeddings', traits.tied ?? false), {
          ...(logits !== 1 && { scale: logits }),
          ...(last !== undefined && { softcap: last }),
        }),
    longest: config.count('max_position_embeddings', 2048),
  };
}

export const families: readonly Family[] = [{ name: 'llama', types: Object.keys(TRAITS), read }];
