// XLNet (Yang et al. 2019): relative positions as in Transformer-XL, in both directions, and relative segments. The content stream alone: what
// the model does with a whole text.

import { conformer, xlnet as xlnetEncoding } from '../../encodings/transformer-xl.ts';
import type { Layer, Linear, Position, Projected } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { attention, classifierOf, type Family, type Parts, postNormLayer, rowsOf } from './parts.ts';

interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly headWidth: number;
}

/** Rows of the table for a text of n tokens, distances n … 1 − n, out of those of T tokens, T − 1 … 1 − T. Distance n is met by no pair. */
function around(table: Float32Array, columns: number, n: number): Float32Array {
  const longest = (table.length / columns + 1) / 2;
  const rows = new Float32Array(2 * n * columns);
  const first = (longest - n) * columns;
  rows.set(table.subarray(first, first + (2 * n - 1) * columns), columns);
  return rows;
}

function positionOf(layer: Tensors, config: Config, { width, heads, headWidth }: Sizes): Position {
  const all = heads * headWidth;
  const stored = [width, heads, headWidth];
  const vector = (name: string) => layer.tensor(`rel_attn.${name}`, [all], [heads, headWidth]);
  const clamp = config.count('clamp_len', -1, -1);
  const r: Projected = {
    kind: 'projected',
    rows: { kind: 'sinusoids', width, base: 10000, span: 'both', ...(clamp > 0 && { clamp }) },
    by: layer.linear('rel_attn.r', width, all, { transposed: true, stored, names: ['', ''] }),
  };
  return {
    name: 'xlnet',
    options: { attnType: 'bi' },
    tables: {
      rWBias: vector('r_w_bias'),
      rRBias: vector('r_r_bias'),
      r,
      rSBias: vector('r_s_bias'),
      segEmbed: layer.tensor('rel_attn.seg_embed', [2 * all], [2, heads, headWidth]),
    },
    segments: true,
    make({ rWBias, rRBias, r: table, rSBias, segEmbed }, { length, segments }) {
      const [u, w, rows] = [rWBias, rRBias, table] as [Float32Array, Float32Array, Float32Array];
      // Without segments the scheme is Conformer's, whose table serves every length.
      if (segments === undefined) return conformer({ posBiasU: u, posBiasV: w, r: rows });
      return xlnetEncoding({
        rWBias: u,
        rRBias: w,
        r: around(rows, all, length),
        attnType: 'bi',
        rSBias: rSBias as Float32Array,
        segEmbed: segEmbed as Float32Array,
        segments,
      });
    },
  };
}

function read(config: Config, index: TensorIndex): Parts {
  config.only('attn_type', 'bi', 'uni');
  config.only('bi_data', false);
  config.only('same_length', false);
  const width = config.count('d_model|hidden_size', 1024);
  const heads = config.count('n_head|num_attention_heads', 16);
  const headWidth = config.headWidth(width, heads, 'd_head');
  const inner = config.count('d_inner', 4096);
  const epsilon = config.factor('layer_norm_eps', 1e-12);
  const activation = config.activation('ff_activation', 'gelu');
  const causal = config.text('attn_type', 'bi') === 'uni';
  const head = new Tensors(index);
  const weights = head.under(['', 'transformer.'], 'word_embedding.weight');
  const all = heads * headWidth;
  const stored = [width, heads, headWidth];
  const layers = Array.from({ length: config.count('n_layer|num_hidden_layers', 24) }, (_, n): Layer => {
    const layer = weights.at(`layer.${n}`);
    const of = (name: string): Linear => layer.linear(`rel_attn.${name}`, width, all, { transposed: true, stored, names: ['', ''] });
    return postNormLayer(
      attention({
        heads,
        headWidth,
        query: of('q'),
        key: of('k'),
        value: of('v'),
        output: layer.linear('rel_attn.o', all, width, { stored, names: ['', ''] }),
        positions: [positionOf(layer, config, { width, heads, headWidth })],
        causal,
      }),
      layer.layerNorm('rel_attn.layer_norm', width, epsilon),
      {
        activation,
        up: layer.linear('ff.layer_1', width, inner, { bias: true }),
        down: layer.linear('ff.layer_2', inner, width, { bias: true }),
      },
      layer.layerNorm('ff.layer_norm', width, epsilon),
    );
  });
  const vocabulary = config.count('vocab_size', 32000);
  const embeddings = { token: weights.tensor('word_embedding.weight', [vocabulary, width]) };
  const labels = rowsOf(head, 'logits_proj.weight');
  const bias = head.has('lm_loss.bias');
  return {
    kind: 'encoder',
    width,
    vocabulary,
    tokens: config.tokens({ begin: 1, end: 2, pad: 5 }),
    encoder: { embeddings, layers },
    logits: bias
      ? {
          output: {
            weight: head.has('lm_loss.weight') ? head.tensor('lm_loss.weight', [vocabulary, width]) : embeddings.token,
            bias: head.tensor('lm_loss.bias', [vocabulary]),
          },
        }
      : undefined,
    classifier: labels
      ? classifierOf(config, 'last', [
          { linear: head.linear('sequence_summary.summary', width, width, { bias: true }), activation: 'tanh' },
          { linear: head.linear('logits_proj', width, labels, { bias: true }) },
        ])
      : undefined,
  };
}

export const families: readonly Family[] = [{ name: 'xlnet', types: ['xlnet'], read }];
