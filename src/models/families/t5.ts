// T5 (Raffel et al. 2019), T5 v1.1, mT5, Flan-T5, and LongT5 (Guo et al. 2021), whose encoder sees a window, and blocks if its attention is called transient
// global: biases by buckets of distance, RMS norms before, no 1/√D.

import { copyBuckets, t5 as t5Encoding } from '../../encodings/t5.ts';
import type { Attention, Embeddings, Layer, Linear, Mlp, Norm, Position, Stack, Weight } from '../blueprint.ts';
import { activationOf, type Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { blockBias } from './block-bias.ts';
import { attention, type Family, type Parts } from './parts.ts';

interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly inner: number;
  readonly epsilon: number;
}

/** LongT5's encoder: what its attention is called, its radius, and tokens of a block if there are blocks. */
interface Local {
  readonly name: string;
  readonly radius: number;
  readonly block?: number;
}

/** The bias of one stack: a table of its first layer, which all layers share; with blocks one more, of distances between those. */
function biasOf(config: Config, weights: Tensors, heads: number, bidirectional: boolean, block?: number): Position {
  const names = { buckets: 'relative_attention_num_buckets', maxDistance: 'relative_attention_max_distance' };
  const given = { buckets: config.count(names.buckets, 32), maxDistance: config.count(names.maxDistance, 128) };
  const checked = copyBuckets('config.json', names, given, bidirectional);
  const options = { heads, ...checked };
  const tableOf = (name: string): Weight => weights.tensor(`${name}.weight`, [checked.buckets, heads]);
  const table = tableOf('relative_attention_bias');
  if (block === undefined) {
    return { name: 't5', options, tables: { table }, make: (own) => t5Encoding({ ...options, table: own.table as Float32Array }) };
  }
  return {
    name: 't5',
    options: { ...options, block },
    tables: { table, blocks: tableOf('global_relative_attention_bias') },
    make: (own) => blockBias({ ...options, block, table: own.table as Float32Array, blocks: own.blocks as Float32Array }),
  };
}

/** @throws RangeError if the attention is of another kind */
function localOf(config: Config): Local {
  const kind = config.text('encoder_attention_type', 'local');
  config.only('encoder_attention_type', 'local', 'transient-global');
  const radius = config.count('local_radius', 127, 1, 0x40000000);
  if (kind === 'local') return { name: 'LocalSelfAttention', radius };
  return { name: 'TransientGlobalSelfAttention', radius, block: config.count('global_block_size', 16) };
}

function attended(weights: Tensors, { width, heads, headWidth }: Sizes, more: Partial<Attention>): Attention {
  const all = heads * headWidth;
  const of = (name: string, input: number, output: number): Linear => weights.linear(name, input, output);
  return {
    ...attention({
      heads,
      headWidth,
      query: of('q', width, all),
      key: of('k', width, all),
      value: of('v', width, all),
      output: of('o', all, width),
    }),
    scale: 1,
    ...more,
  };
}

function dense(config: Config, weights: Tensors, { width, inner }: Sizes): Omit<Mlp, 'before'> {
  const said = config.text('feed_forward_proj', 'relu').split('-');
  const gated = said[0] === 'gated';
  const name = said.slice(gated ? 1 : 0).join('-');
  // Gated "gelu" is the approximation with tanh.
  const activation = activationOf('feed_forward_proj', gated && name === 'gelu' ? 'gelu_new' : name);
  return {
    activation,
    ...(gated && { gate: weights.linear('wi_0', width, inner) }),
    up: weights.linear(gated ? 'wi_1' : 'wi', width, inner),
    down: weights.linear('wo', inner, width),
  };
}

/** One stack. */
function stackOf(
  config: Config,
  weights: Tensors,
  sizes: Sizes,
  embeddings: Embeddings,
  { count, decoder, local }: { count: number; decoder: boolean; local?: Local },
): Stack {
  const self = local?.name ?? 'SelfAttention';
  const norm = (from: Tensors, name: string): Norm => from.rmsNorm(name, sizes.width, sizes.epsilon);
  const position = biasOf(config, weights.at(`block.0.layer.0.${self}`), sizes.heads, !decoder, local?.block);
  const layers = Array.from({ length: count }, (_, n): Layer => {
    const block = weights.at(`block.${n}`);
    const last = block.at(`layer.${decoder ? 2 : 1}`);
    return {
      attention: attended(block.at(`layer.0.${self}`), sizes, {
        before: norm(block, 'layer.0.layer_norm'),
        positions: [position],
        causal: decoder,
        ...(local && { window: { left: local.radius, right: local.radius } }),
        ...(local?.block && { blocks: { size: local.block, norm: norm(block, `layer.0.${self}.global_input_layer_norm`) } }),
      }),
      ...(decoder && {
        cross: attended(block.at('layer.1.EncDecAttention'), sizes, { before: norm(block, 'layer.1.layer_norm') }),
      }),
      mlp: { ...dense(config, last.at('DenseReluDense'), sizes), before: norm(last, 'layer_norm') },
      parallel: false,
    };
  });
  return { embeddings, layers, norm: norm(weights, 'final_layer_norm') };
}

/** Whether the logits are scaled by 1/√width: as in the first T5, whose output is tied; v1.1 and mT5 do not. */
function scales(config: Config): boolean {
  if (config.text('model_type') === 'mt5') return false;
  return config.flag('scale_decoder_outputs', config.flag('tie_word_embeddings', true));
}

function read(config: Config, index: TensorIndex): Parts {
  const width = config.count('d_model', 512);
  const heads = config.count('num_heads', 8);
  const headWidth = config.count('d_kv', 64);
  const sizes = { width, heads, headWidth, inner: config.count('d_ff', 2048), epsilon: config.factor('layer_norm_epsilon', 1e-6) };
  const all = new Tensors(index).under(['', 'transformer.', 'model.'], 'encoder.final_layer_norm.weight');
  const vocabulary = config.count('vocab_size');
  const shared = ['shared.weight', 'encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'].find((name) => all.has(name));
  const embeddings = { token: all.tensor(shared ?? 'shared.weight', [vocabulary, width]) };
  const long = config.text('model_type') === 'longt5';
  const count = config.count('num_layers', 6);
  const local = long ? localOf(config) : undefined;
  const encoder = stackOf(config, all.at('encoder'), sizes, embeddings, { count, decoder: false, ...(local && { local }) });
  const common = { width, vocabulary, encoder, tokens: config.tokens({ end: 1, pad: 0, start: 0 }) };
  if (!all.has('decoder.final_layer_norm.weight')) return { kind: 'encoder', ...common };
  const own = all.has('lm_head.weight');
  return {
    kind: 'seq2seq',
    ...common,
    decoder: stackOf(config, all.at('decoder'), sizes, embeddings, { count: config.count('num_decoder_layers', count), decoder: true }),
    logits: {
      output: own ? all.linear('lm_head', width, vocabulary) : { weight: embeddings.token },
      ...(scales(config) && { scale: 1 / Math.sqrt(width) }),
    },
  };
}

export const families: readonly Family[] = [{ name: 't5', types: ['t5', 'mt5', 'longt5'], read }];
