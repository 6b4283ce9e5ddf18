// DeBERTa v2 and v3 (He et al. 2020, 2021): BERT's layers, whose scores also meet embeddings of the distance, projected as keys and as queries.

import { wrongValue } from '../../arguments/check.ts';
import { deberta as debertaEncoding } from '../../encodings/deberta.ts';
import type { Attention, Convolution, Dense, Embeddings, Layer, Linear, LogitsHead, Position, Projected, Table } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { bertSizes, refuseDecoder } from './bert.ts';
import { bertEmbeddings, bertLayer, classifierOf, type Family, maskedHead, type Parts, rowsOf, type Sizes } from './parts.ts';

const where = 'config.json';

type Term = 'c2p' | 'p2c';

/** What the layers share of the relative positions. */
interface Relative {
  readonly terms: readonly Term[];
  readonly buckets: number;
  readonly longest: number;
  readonly shareKeys: boolean;
  readonly rows: Pick<Projected, 'rows' | 'norm'>;
}

function termsOf(config: Config): readonly Term[] {
  const said = config.raw.pos_att_type ?? [];
  const names = (typeof said === 'string' ? said.toLowerCase().split('|') : (config.list('pos_att_type') ?? [])).map((name) =>
    String(name).trim(),
  );
  return (['c2p', 'p2c'] as const).filter((term) => names.includes(term));
}

function relativeOf(config: Config, encoder: Tensors, { width, epsilon }: Sizes): Relative | undefined {
  if (!config.flag('relative_attention', false)) return undefined;
  const said = config.count('max_relative_positions', -1, -1);
  const longest = said < 1 ? config.count('max_position_embeddings', 512) : said;
  const buckets = config.count('position_buckets', -1, -1);
  const half = Math.floor(buckets / 2);
  if (buckets === 1) throw wrongValue(where, 'position_buckets', '2 or more, or none', buckets);
  if (buckets > 0 && longest < half + 2)
    throw wrongValue(where, 'max_relative_positions', `at least ${half + 2}, half of position_buckets and 2`, longest);
  const span = buckets > 0 ? buckets : longest;
  const norms = config
    .text('norm_rel_ebd', 'none')
    .toLowerCase()
    .split('|')
    .map((name) => name.trim());
  return {
    terms: termsOf(config),
    buckets,
    longest,
    shareKeys: config.flag('share_att_key', false),
    rows: {
      rows: encoder.tensor('rel_embeddings.weight', [2 * span, width]),
      ...(norms.includes('layer_norm') && { norm: encoder.layerNorm('LayerNorm', width, epsilon) }),
    },
  };
}

/** The scheme of one layer: its own projections of the shared embeddings. */
function positionOf(layer: Tensors, { width, heads, headWidth }: Sizes, relative: Relative): Position {
  const { terms, buckets, longest, shareKeys, rows } = relative;
  const by = (shared: string, own: string): Table => ({
    kind: 'projected',
    ...rows,
    by: layer.linear(`attention.self.${shareKeys ? shared : own}`, width, heads * headWidth, { bias: true }),
  });
  const options = { maxRelativePositions: longest, positionBuckets: buckets, posAttType: terms };
  return {
    name: 'deberta',
    options,
    tables: {
      ...(terms.includes('c2p') && { posKey: by('key_proj', 'pos_key_proj') }),
      ...(terms.includes('p2c') && { posQuery: by('query_proj', 'pos_query_proj') }),
    },
    make: (tables) => debertaEncoding({ ...options, ...tables }),
  };
}

function headOf(config: Config, head: Tensors, embeddings: Embeddings, epsilon: number): LogitsHead | undefined {
  const activation = config.activation('hidden_act', 'gelu');
  const legacy = {
    dense: 'cls.predictions.transform.dense',
    norm: 'cls.predictions.transform.LayerNorm',
    decoder: 'cls.predictions.decoder',
    bias: ['cls.predictions.bias', 'cls.predictions.decoder.bias'],
  };
  const own = {
    dense: 'lm_predictions.lm_head.dense',
    norm: 'lm_predictions.lm_head.LayerNorm',
    decoder: '',
    bias: ['lm_predictions.lm_head.bias'],
  };
  // Some checkpoints have both; then the config says which one counts.
  return maskedHead(head, config.flag('legacy', true) ? legacy : own, embeddings, activation, epsilon);
}

/** The convolution beside the first layer. */
function convolutionOf(config: Config, conv: Tensors, { width, epsilon }: Sizes): Convolution | undefined {
  const size = config.count('conv_kernel_size', 0, 0);
  if (size === 0) return undefined;
  if (size % 2 === 0) throw wrongValue('config.json', 'conv_kernel_size', '0 or an odd number of taps', size);
  config.only('conv_groups', 1);
  const part = conv.part('conv.weight', [width, width, size]);
  return {
    taps: Array.from({ length: size }, (_, first) => ({ shape: [width, width], parts: [{ ...part, columns: { first, step: size } }] })),
    bias: conv.tensor('conv.bias', [width]),
    activation: config.activation('conv_act', 'tanh'),
    post: conv.layerNorm('LayerNorm', width, epsilon),
  };
}

function read(config: Config, index: TensorIndex): Parts {
  refuseDecoder(config);
  const sizes = bertSizes(config, 1e-7, 'attention_head_size');
  const { width, headWidth, epsilon } = sizes;
  const head = new Tensors(index);
  const weights = head.under(['', 'deberta.'], 'embeddings.word_embeddings.weight');
  const vocabulary = config.count('vocab_size', 128100);
  const columns = config.count('embedding_size', width);
  const rows = config.count('max_position_embeddings', 512);
  const from = weights.at('embeddings');
  const plain = bertEmbeddings(
    from,
    columns,
    epsilon,
    {
      vocabulary,
      types: config.count('type_vocab_size', 0, 0),
      ...(config.flag('position_biased_input', true) && { positions: { rows, offset: 0 } }),
    },
    width,
  );
  const embeddings = columns === width ? plain : { ...plain, projection: from.linear('embed_proj', columns, width) };
  const activation = config.activation('hidden_act', 'gelu');
  const relative = relativeOf(config, weights.at('encoder'), sizes);
  const convolution = convolutionOf(config, weights.at('encoder.conv'), sizes);
  const scale = 1 / Math.sqrt(headWidth * (1 + termsOf(config).length));
  const layers = Array.from({ length: config.count('num_hidden_layers', 24) }, (_, n): Layer => {
    const layer = weights.at(`encoder.layer.${n}`);
    const more: Partial<Attention> = { scale, ...(relative && { positions: [positionOf(layer, sizes, relative)] }) };
    const made = bertLayer(layer, sizes, activation, more, ['query_proj', 'key_proj', 'value_proj']);
    return n === 0 && convolution ? { ...made, beside: convolution } : made;
  });
  const pooler = poolerOf(config, head, width);
  const labels = rowsOf(head, 'classifier.weight');
  const out = (): Linear => head.linear('classifier', width, labels, { bias: true });
  return {
    kind: 'encoder',
    width,
    vocabulary,
    tokens: config.tokens({ pad: 0 }),
    encoder: { embeddings, layers },
    logits: headOf(config, head, embeddings, epsilon),
    classifier: pooler && labels ? classifierOf(config, 'first', [pooler, { linear: out() }]) : undefined,
    // Distances beyond the last bucket share it; only learned positions end.
    ...(embeddings.position && { longest: rows }),
  };

  function poolerOf(config: Config, head: Tensors, width: number): Dense | undefined {
    if (!head.has('pooler.dense.weight')) return undefined;
    const linear = head.linear('pooler.dense', width, config.count('pooler_hidden_size', width), { bias: true });
    return { linear, activation: config.activation('pooler_hidden_act', 'gelu') };
  }
}

export const families: readonly Family[] = [{ name: 'deberta', types: ['deberta-v2'], read }];
