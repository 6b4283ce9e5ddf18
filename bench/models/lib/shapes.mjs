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

const bert = (name, layers, width, heads) => {
  const config = bertConfig(layers, width, heads);
  return { name, kind: 'encoder', config, tensors: bertTensors(config), dtype: 'F32', tokens: BERT_TOKENS };
};

export const MODELS = [bert('minilm', 6, 384, 12), bert('bge-small', 12, 384, 12)];

export const modelOf = (name) => MODELS.find((model) => model.name === name);
