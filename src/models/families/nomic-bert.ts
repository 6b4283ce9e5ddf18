// Nomic-BERT (Nussbaum et al. 2024): post-norm, rotary positions, gated MLP, no biases but in the norms. Checkpoints have the names of the
// model's first code (encoder.layers, Wqkv, fc11) or those of transformers.

import { wrongValue } from '../../arguments/check.ts';
import { rotary } from '../../encodings/rotary.ts';
import type { Layer, Linear, Position } from '../blueprint.ts';
import { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { tanhPooler } from './bert.ts';
import { attention, classifierOf, type Family, fixed, maskedHead, type Parts, postNormLayer, rowsOf } from './parts.ts';
import { rotations } from './rotations.ts';

/** What the first code could do and no checkpoint in use does. */
function refuseFirst(config: Config): void {
  config.only('prenorm', false);
  config.only('parallel_block', false);
  config.only('rotary_emb_interleaved', false);
  config.only('rotary_emb_scale_base');
  config.only('rotary_scaling_factor');
  config.only('use_rms_norm', false);
  config.only('causal', false);
  config.only('activation_function', 'swiglu');
  for (const key of ['qkv_proj_bias', 'mlp_fc1_bias', 'mlp_fc2_bias']) config.only(key, false);
}

interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly inner: number;
  readonly epsilon: number;
}

function layerOf(layer: Tensors, { width, heads, headWidth, inner, epsilon }: Sizes, position: Position, first: boolean): Layer {
  const own = (name: string): Linear => layer.linear(`self_attn.${name}_proj`, width, width);
  const [query, key, value] = first ? layer.split('attn.Wqkv', width, [width, width, width]) : [own('q'), own('k'), own('v')];
  const output = first ? layer.linear('attn.out_proj', width, width) : own('o');
  const [up, gate, down] = first ? ['mlp.fc11', 'mlp.fc12', 'mlp.fc2'] : ['mlp.up_proj', 'mlp.gate_proj', 'mlp.down_proj'];
  return postNormLayer(
    attention({ heads, headWidth, query, key, value, output, positions: [position] }),
    layer.layerNorm(first ? 'norm1' : 'post_attention_layernorm', width, epsilon),
    {
      activation: 'silu',
      gate: layer.linear(gate as string, width, inner),
      up: layer.linear(up as string, width, inner),
      down: layer.linear(down as string, inner, width),
    },
    layer.layerNorm(first ? 'norm2' : 'post_mlp_layernorm', width, epsilon),
  );
}

function read(config: Config, index: TensorIndex): Parts {
  refuseFirst(config);
  config.only('hidden_act', 'silu');
  const width = config.count('hidden_size|n_embd', 768);
  const heads = config.count('num_attention_heads|n_head', 12);
  const headWidth = config.headWidth(width, heads);
  config.only('head_dim', headWidth);
  const inner = config.count('intermediate_size|n_inner', 4 * width);
  const epsilon = config.factor('layer_norm_eps|layer_norm_epsilon', 1e-12);
  const head = new Tensors(index);
  const weights = head.under(['', 'nomic_bert.', 'bert.'], 'embeddings.word_embeddings.weight');
  const first = weights.has('emb_ln.weight');
  const fraction = config.factor('rotary_emb_fraction', 1);
  const dim = headWidth * fraction;
  if (dim > headWidth || dim % 2) {
    throw wrongValue('config.json', 'rotary_emb_fraction', `a part of the ${headWidth} channels of a head that is even`, fraction);
  }
  const theta = config.factor('rotary_emb_base', 1000);
  if (theta < 1) throw wrongValue('config.json', 'rotary_emb_base', 'a number ≥ 1', theta);
  const options = { dim, theta, layout: 'halves' } as const;
  const position = config.has('rotary_emb_base')
    ? fixed('rotary', options, rotary(options))
    : rotations(new Config({ ...config.raw, head_dim: headWidth }))(0);
  const vocabulary = config.count('vocab_size', 30528);
  const types = config.count('type_vocab_size', 2, 0);
  const embeddings = {
    token: weights.tensor('embeddings.word_embeddings.weight', [vocabulary, width]),
    ...(types > 0 && { type: weights.tensor('embeddings.token_type_embeddings.weight', [types, width]) }),
    norm: weights.layerNorm(first ? 'emb_ln' : 'embeddings.LayerNorm', width, epsilon),
  };
  const sizes = { width, heads, headWidth, inner, epsilon };
  const layers = Array.from({ length: config.count('num_hidden_layers|n_layer', 12) }, (_, n) =>
    layerOf(weights.at(first ? `encoder.layers.${n}` : `layers.${n}`), sizes, position, first),
  );
  const transform = 'cls.predictions.transform';
  const names = {
    dense: `${transform}.dense`,
    norm: `${transform}.layer_norm`,
    decoder: 'cls.predictions.decoder',
    bias: ['cls.predictions.bias', 'cls.predictions.decoder.bias'],
  };
  const pooler = tanhPooler(weights, width);
  const labels = rowsOf(head, 'classifier.weight');
  return {
    kind: 'encoder',
    width,
    vocabulary,
    tokens: config.tokens({ pad: 0 }),
    encoder: { embeddings, layers },
    logits: head.has(`${transform}.layer_norm.weight`) ? maskedHead(head, names, embeddings, 'silu', epsilon) : undefined,
    pooler,
    classifier:
      pooler && labels
        ? classifierOf(config, 'first', [pooler, { linear: head.linear('classifier', width, labels, { bias: true }) }])
        : undefined,
    longest: config.count('max_position_embeddings|n_positions', 2048),
  };
}

export const families: readonly Family[] = [{ name: 'nomic-bert', types: ['nomic_bert'], read }];
