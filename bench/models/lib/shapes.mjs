/**
 * The models that are compared: shapes of known checkpoints, with seeded weights, since none can be downloaded where tests run. A tensor is
 * `[name, shape, spread]`: uniform numbers of that standard deviation, or about 1 where the name is that of a norm's weight.
 */

/** A weight of a linear layer keeps the spread of what goes in. */
const linear = (name, out, width, bias = true) => [
  [`${name}.weight`, [out, width], 1 / Math.sqrt(width)],
  ...(bias ? [[`${name}.bias`, [out], 0.1]] : []),
];

const norm = (name, width, bias = true) => [[`${name}.weight`, [width], 'norm'], ...(bias ? [[`${name}.bias`, [width], 0.1]] : [])];

const range = (count) => Array.from({ length: count }, (_, n) => n);

const bertConfig = (layers, width, heads) => ({
  model_type: 'bert',
  architectures: ['BertModel'],
  hidden_size: width,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  intermediate_size: 4 * width,
  hidden_act: 'gelu',
  vocab_size: 30522,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  pad_token_id: 0,
});

function bertTensors({ num_hidden_layers: layers, hidden_size: width, intermediate_size: inner, vocab_size: vocabulary }) {
  const layer = (n) => {
    const at = `encoder.layer.${n}`;
    return [
      ...['query', 'key', 'value'].flatMap((part) => linear(`${at}.attention.self.${part}`, width, width)),
      ...linear(`${at}.attention.output.dense`, width, width),
      ...norm(`${at}.attention.output.LayerNorm`, width),
      ...linear(`${at}.intermediate.dense`, inner, width),
      ...linear(`${at}.output.dense`, width, inner),
      ...norm(`${at}.output.LayerNorm`, width),
    ];
  };
  return [
    ['embeddings.word_embeddings.weight', [vocabulary, width], 0.05],
    ['embeddings.position_embeddings.weight', [512, width], 0.02],
    ['embeddings.token_type_embeddings.weight', [2, width], 0.02],
    ...norm('embeddings.LayerNorm', width),
    ...range(layers).flatMap(layer),
  ];
}

/** What frames a text, by the number of each token. */
const BERT_TOKENS = {
  before: ['[CLS]'],
  after: ['[SEP]'],
  special: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'],
  pad: '[PAD]',
  unknown: '[UNK]',
};

export /** @param weights the kinds that are measured */
const bert = (name, weights, layers, width, heads) => {
  const config = bertConfig(layers, width, heads);
  return { name, kind: 'encoder', weights, config, tensors: bertTensors(config), dtype: 'F32', tokens: BERT_TOKENS };
};

const debertaConfig = (layers, width, heads, vocabulary) => ({
  model_type: 'deberta-v2',
  architectures: ['DebertaV2Model'],
  hidden_size: width,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  intermediate_size: 4 * width,
  hidden_act: 'gelu',
  vocab_size: vocabulary,
  max_position_embeddings: 512,
  relative_attention: true,
  position_buckets: 256,
  max_relative_positions: -1,
  norm_rel_ebd: 'layer_norm',
  share_att_key: true,
  pos_att_type: 'p2c|c2p',
  position_biased_input: false,
  type_vocab_size: 0,
  layer_norm_eps: 1e-7,
  pad_token_id: 0,
});

function debertaTensors({ num_hidden_layers: layers, hidden_size: width, intermediate_size: inner, vocab_size: vocabulary, ...config }) {
  const layer = (n) => {
    const at = `encoder.layer.${n}`;
    return [
      ...['query', 'key', 'value'].flatMap((part) => linear(`${at}.attention.self.${part}_proj`, width, width)),
      ...linear(`${at}.attention.output.dense`, width, width),
      ...norm(`${at}.attention.output.LayerNorm`, width),
      ...linear(`${at}.intermediate.dense`, inner, width),
      ...linear(`${at}.output.dense`, width, inner),
      ...norm(`${at}.output.LayerNorm`, width),
    ];
  };
  return [
    ['embeddings.word_embeddings.weight', [vocabulary, width], 0.05],
    ...norm('embeddings.LayerNorm', width),
    ['encoder.rel_embeddings.weight', [2 * config.position_buckets, width], 0.05],
    ...norm('encoder.LayerNorm', width),
    ...range(layers).flatMap(layer),
  ];
}

const deberta = (name, weights, ...sizes) => {
  const config = debertaConfig(...sizes);
  return { name, kind: 'encoder', weights, config, tensors: debertaTensors(config), dtype: 'BF16', tokens: BERT_TOKENS };
};

const llamaConfig = (layers, width, heads, keyHeads, inner, vocabulary, theta, positions) => ({
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  hidden_size: width,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: keyHeads,
  intermediate_size: inner,
  hidden_act: 'silu',
  vocab_size: vocabulary,
  max_position_embeddings: positions,
  rms_norm_eps: 1e-5,
  rope_theta: theta,
  tie_word_embeddings: true,
});

function llamaTensors({ num_hidden_layers: layers, hidden_size: width, intermediate_size: inner, vocab_size: vocabulary, ...config }) {
  const narrow = (width / config.num_attention_heads) * config.num_key_value_heads;
  const layer = (n) => {
    const at = `model.layers.${n}`;
    return [
      ...norm(`${at}.input_layernorm`, width, false),
      ...linear(`${at}.self_attn.q_proj`, width, width, false),
      ...['k', 'v'].flatMap((part) => linear(`${at}.self_attn.${part}_proj`, narrow, width, false)),
      ...linear(`${at}.self_attn.o_proj`, width, width, false),
      ...norm(`${at}.post_attention_layernorm`, width, false),
      ...['gate', 'up'].flatMap((part) => linear(`${at}.mlp.${part}_proj`, inner, width, false)),
      ...linear(`${at}.mlp.down_proj`, width, inner, false),
    ];
  };
  return [['model.embed_tokens.weight', [vocabulary, width], 0.05], ...range(layers).flatMap(layer), ...norm('model.norm', width, false)];
}

/** Without a token that ends a text: as many are written as are asked for. */
const LLAMA_TOKENS = { before: ['<s>'], after: [], special: ['<unk>', '<s>'], unknown: '<unk>' };

/** @param weights the kinds that are measured */
const llama = (name, weights, ...sizes) => {
  const config = llamaConfig(...sizes);
  return { name, kind: 'decoder', weights, config, tensors: llamaTensors(config), dtype: 'BF16', tokens: LLAMA_TOKENS };
};

const t5Config = (layers, width, heads, inner, vocabulary) => ({
  model_type: 't5',
  architectures: ['T5ForConditionalGeneration'],
  d_model: width,
  d_kv: 64,
  d_ff: inner,
  num_layers: layers,
  num_decoder_layers: layers,
  num_heads: heads,
  vocab_size: vocabulary,
  relative_attention_num_buckets: 32,
  relative_attention_max_distance: 128,
  feed_forward_proj: 'relu',
  layer_norm_epsilon: 1e-6,
  tie_word_embeddings: true,
  decoder_start_token_id: 0,
  pad_token_id: 0,
  eos_token_id: [],
});

function t5Tensors({ d_model: width, d_kv: own, d_ff: inner, num_layers: layers, num_heads: heads, vocab_size: vocabulary, ...config }) {
  const all = heads * own;
  const attention = (at) => [
    // Scores are not divided by the root of the head's width: the weights of the queries are as small.
    [`${at}.q.weight`, [all, width], 1 / Math.sqrt(width * own)],
    ...['k', 'v'].map((part) => [`${at}.${part}.weight`, [all, width], 1 / Math.sqrt(width)]),
    [`${at}.o.weight`, [width, all], 1 / Math.sqrt(all)],
  ];
  const block = (stack, n) => {
    const at = `${stack}.block.${n}.layer`;
    const last = stack === 'decoder' ? 2 : 1;
    return [
      ...attention(`${at}.0.SelfAttention`),
      ...(n === 0 ? [[`${at}.0.SelfAttention.relative_attention_bias.weight`, [config.relative_attention_num_buckets, heads], 0.5]] : []),
      ...(stack === 'decoder' ? attention(`${at}.1.EncDecAttention`) : []),
      [`${at}.${last}.DenseReluDense.wi.weight`, [inner, width], 1 / Math.sqrt(width)],
      [`${at}.${last}.DenseReluDense.wo.weight`, [width, inner], 1 / Math.sqrt(inner)],
      ...range(last + 1).flatMap((layer) => norm(`${at}.${layer}.layer_norm`, width, false)),
    ];
  };
  return [
    // Small: a token that weighs more than what layers make of it is followed by itself.
    ['shared.weight', [vocabulary, width], 0.05],
    ...['encoder', 'decoder'].flatMap((stack) => [
      ...range(layers).flatMap((n) => block(stack, n)),
      ...norm(`${stack}.final_layer_norm`, width, false),
    ]),
  ];
}

const T5_TOKENS = { before: [], after: ['</s>'], special: ['<pad>', '</s>', '<unk>'], pad: '<pad>', unknown: '<unk>' };

const t5 = (name, weights, ...sizes) => {
  const config = t5Config(...sizes);
  return { name, kind: 'seq2seq', weights, config, tensors: t5Tensors(config), dtype: 'F32', tokens: T5_TOKENS };
};

export const MODELS = [
  bert('minilm', ['i8', 'f32', 'i4'], 6, 384, 12),
  bert('bge-small', ['i8', 'f32'], 12, 384, 12),
  deberta('deberta-v3-xsmall', ['i8', 'f32'], 12, 384, 6, 128100),
  llama('smollm2-135m', ['i8', 'i4'], 30, 576, 9, 3, 1536, 49152, 100000, 2048),
  llama('stories15m', ['i8', 'i4', 'f32'], 6, 288, 6, 6, 768, 32000, 10000, 256),
  t5('t5-small', ['f32', 'i8'], 6, 512, 8, 2048, 32128),
];

export const modelOf = (name) => MODELS.find((model) => model.name === name);
