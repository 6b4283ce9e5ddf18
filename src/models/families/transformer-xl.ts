// Transformer-XL (Dai et al. 2019): relative positions from sinusoids, a memory of what came before, tokens in clusters of falling width.

import { wrongValue } from '../../arguments/check.ts';
import { transformerXL } from '../../encodings/transformer-xl.ts';
import type { Embeddings, Layer, Linear, LogitsHead, Norm, Position, RareTokens, Weight } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { fused, type TensorIndex, Tensors } from '../tensors.ts';
import { attention, type Family, type Parts } from './parts.ts';

const where = 'config.json';
/** Every layer keeps so many rows, and has as many rows of distances more. */
const MOST_MEMORY = 65536;

/** First and one past the last token of each cluster. */
function clustersOf(config: Config, vocabulary: number): readonly (readonly [first: number, end: number])[] {
  const cuts = config.list('cutoffs') ?? [20000, 40000, 200000];
  const ends = [...cuts, vocabulary] as readonly number[];
  if (!ends.every((end, n) => Number.isInteger(end) && end > (ends[n - 1] ?? 0))) {
    throw wrongValue(where, 'cutoffs', `tokens that rise below vocab_size=${vocabulary}`, [...(cuts as number[])]);
  }
  return ends.map((end, n) => [ends[n - 1] ?? 0, end] as const);
}

interface Widths {
  readonly model: number;
  readonly embedded: number;
  /** By how much each cluster is narrower than the one before. */
  readonly falls: number;
}

const widthOf = ({ embedded, falls }: Widths, cluster: number): number => Math.floor(embedded / falls ** cluster);

/** Rows of tokens; where clusters are of one width they are one. */
function embeddingsOf(weights: Tensors, vocabulary: number, clusters: ReturnType<typeof clustersOf>, widths: Widths): Embeddings {
  const scale = Math.sqrt(widths.model);
  const project = (cluster: number): Linear =>
    weights.linear(`word_emb.emb_projs.${cluster}`, widthOf(widths, cluster), widths.model, { names: ['', ''] });
  const table = (cluster: number, rows: number): Weight =>
    weights.tensor(`word_emb.emb_layers.${cluster}.weight`, [rows, widthOf(widths, cluster)]);
  if (widths.falls === 1) {
    return { token: table(0, vocabulary), scale, ...(widths.model !== widths.embedded && { projection: project(0) }) };
  }
  const sizes = clusters.map(([first, end]) => end - first);
  const rare = clusters.slice(1).map(
    ([first], n): RareTokens => ({
      first,
      table: table(n + 1, sizes[n + 1] as number),
      projection: project(n + 1),
    }),
  );
  return { token: table(0, sizes[0] as number), scale, projection: project(0), ...(rare.length && { rare }) };
}

/** What stands before the output of a cluster: the transposed projection of its tokens, unless it has one of its own. */
function projectionOf(head: Tensors, weights: Tensors, cluster: number, width: number, model: number): Linear {
  const own = head.has(`crit.out_projs.${cluster}`);
  const form = { transposed: true, names: ['', ''] as const };
  return own
    ? head.linear(`crit.out_projs.${cluster}`, model, width, form)
    : weights.linear(`word_emb.emb_projs.${cluster}`, model, width, form);
}

function headOf(
  head: Tensors,
  weights: Tensors,
  embeddings: Embeddings,
  clusters: ReturnType<typeof clustersOf>,
  widths: Widths,
): LogitsHead {
  const { model, falls, embedded } = widths;
  const tables = [embeddings.token, ...(embeddings.rare ?? []).map(({ table }) => table)];
  const biased = (cluster: number, weight: Weight): Linear => ({
    weight: head.has(`crit.out_layers.${cluster}.weight`) ? head.tensor(`crit.out_layers.${cluster}.weight`, weight.shape) : weight,
    bias: head.tensor(`crit.out_layers.${cluster}.bias`, [weight.shape[0] as number]),
  });
  const others = clusters.length - 1;
  if (others && falls === 1) throw wrongValue(where, 'div_val', 'more than 1 with cutoffs', 1, 'clusters of one width are not split here');
  const first = biased(0, tables[0] as Weight);
  if (!others) {
    const projects = falls !== 1 || model !== embedded;
    return {
      ...(projects && { dense: { linear: projectionOf(head, weights, 0, embedded, model) } }),
      output: first,
      logarithm: true,
    };
  }
  const chosen = { weight: head.tensor('crit.cluster_weight', [others, embedded]), bias: head.tensor('crit.cluster_bias', [others]) };
  return {
    dense: { linear: projectionOf(head, weights, 0, embedded, model) },
    output: fused([first, chosen]),
    logarithm: true,
    rare: tables.slice(1).map((table, n) => ({
      dense: { linear: projectionOf(head, weights, n + 1, widthOf(widths, n + 1), model) },
      output: biased(n + 1, table),
    })),
  };
}

function positionOf(layer: Tensors, shared: Tensors, config: Config, model: number, heads: number, headWidth: number): Position {
  const clamp = config.count('clamp_len', 1000, -1);
  const from = config.flag('untie_r', true) ? layer.at('dec_attn') : shared;
  const bias = (name: string): Weight => from.tensor(name, [heads * headWidth], [heads, headWidth]);
  return {
    name: 'transformerXL',
    options: { clamp },
    tables: {
      u: bias('r_w_bias'),
      v: bias('r_r_bias'),
      r: {
        kind: 'projected',
        rows: { kind: 'sinusoids', width: model, base: 10000, span: 'past', ...(clamp > 0 && { clamp }) },
        by: layer.linear('dec_attn.r_net', model, heads * headWidth),
      },
    },
    make: ({ u, v, r }) => transformerXL({ u: u as Float32Array, v: v as Float32Array, r: r as Float32Array }),
  };
}

function read(config: Config, index: TensorIndex): Parts {
  config.only('attn_type', 0);
  config.only('adaptive', true);
  config.only('sample_softmax', -1, 0);
  const vocabulary = config.count('vocab_size', 267735);
  const widths = { model: config.count('d_model', 1024), embedded: config.count('d_embed', 1024), falls: config.count('div_val', 4) };
  const { model } = widths;
  const heads = config.count('n_head', 16);
  const headWidth = config.headWidth(model, heads, 'd_head');
  const inner = config.count('d_inner', 4096);
  const epsilon = config.factor('layer_norm_epsilon', 1e-5);
  const before = config.flag('pre_lnorm', false);
  const memory = config.count('mem_len', 1600, 0, MOST_MEMORY);
  const same = config.flag('same_length', true);
  const head = new Tensors(index);
  const weights = head.under(['transformer.', ''], 'word_emb.emb_layers.0.weight');
  const clusters = clustersOf(config, vocabulary);
  const embeddings = embeddingsOf(weights, vocabulary, clusters, widths);
  const all = heads * headWidth;
  const place = (norm: Norm) => (before ? { before: norm } : { post: norm });
  const layers = Array.from({ length: config.count('n_layer', 18) }, (_, n): Layer => {
    const layer = weights.at(`layers.${n}`);
    const [query, key, value] = layer.split('dec_attn.qkv_net', model, [all, all, all]);
    return {
      attention: {
        ...attention({
          heads,
          headWidth,
          query,
          key,
          value,
          output: layer.linear('dec_attn.o_net', all, model),
        }),
        ...place(layer.layerNorm('dec_attn.layer_norm', model, epsilon)),
        positions: [positionOf(layer, weights, config, model, heads, headWidth)],
        causal: true,
        // As many keys as the memory has, the row's own among them.
        ...(same && memory > 0 && { window: { left: memory - 1 } }),
      },
      mlp: {
        ...place(layer.layerNorm('pos_ff.layer_norm', model, epsilon)),
        activation: 'relu',
        up: layer.linear('pos_ff.CoreNet.0', model, inner, { bias: true }),
        down: layer.linear('pos_ff.CoreNet.3', inner, model, { bias: true }),
      },
      parallel: false,
    };
  });
  return {
    kind: 'decoder',
    width: model,
    vocabulary,
    tokens: config.tokens({ end: 0 }),
    decoder: { embeddings, layers, ...(memory > 0 && { memory }) },
    logits: head.has('crit.out_layers.0.bias') ? headOf(head, weights, embeddings, clusters, widths) : undefined,
  };
}

export const families: readonly Family[] = [{ name: 'transformer-xl', types: ['transfo-xl'], read }];
