/**
 * BERT as onnxruntime's own transformer optimiser writes it: EmbedLayerNormalization, Attention, SkipLayerNormalization and BiasGelu. With
 * `attention: 'quantized'` int8 attention takes its projections in (QAttention); else they are products before MultiHeadAttention.
 */
import { Graph, joined } from './graph.mjs';
import { int8, transposed } from './quantize.mjs';

export const layerNorm = (graph, weights, from, name) => [
  graph.constant(`${name}.gamma`, weights(`${from}.weight`).data),
  graph.constant(`${name}.beta`, weights(`${from}.bias`).data),
];

function embed(graph, weights, epsilon, masked) {
  const tables = ['word', 'position', 'token_type'].map((name) => weights(`embeddings.${name}_embeddings.weight`));
  const outputs = ['x', 'lengths'];
  if (graph.kind === 'f32') {
    const names = tables.map(({ shape, data }, n) => graph.constant(`table${n}`, data, shape));
    const inputs = ['ids', 'types', ...names, ...layerNorm(graph, weights, 'embeddings.LayerNorm', 'embed'), ...(masked ? ['mask'] : [])];
    return graph.microsoft('EmbedLayerNormalization', inputs, outputs, { epsilon });
  }
  const norm = ['weight', 'bias'].map((name) => weights(`embeddings.LayerNorm.${name}`));
  const [bytes, scales, zeros] = [...tables, ...norm]
    .map((table, n) => graph.table(`table${n}`, table))
    .reduce((all, own) => all.map((list, n) => [...list, own[n]]), [[], [], []]);
  return graph.microsoft('QEmbedLayerNormalization', ['ids', 'types', ...bytes, masked ? 'mask' : '', ...scales, ...zeros], outputs, {
    epsilon,
  });
}

/** Attention with its projections in one operator. */
function whole(graph, x, qkv, bias, at, num_heads, lengths) {
  const [out, width] = qkv.shape;
  if (graph.kind === 'f32') {
    const weight = graph.constant(`${at}.qkv`, transposed(qkv.data, out, width), [width, out]);
    return graph.microsoft('Attention', [x, weight, graph.constant(`${at}.qkvBias`, bias), lengths], `${at}.heads`, { num_heads });
  }
  const { scale, data } = int8(qkv.data);
  graph.node('DynamicQuantizeLinear', [x], [`${at}.u8`, `${at}.scale`, `${at}.zero`]);
  const inputs = [
    `${at}.u8`,
    graph.constant(`${at}.qkv`, transposed(data, out, width), [width, out]),
    graph.constant(`${at}.qkvBias`, bias),
    `${at}.scale`,
    graph.constant(`${at}.qkvScale`, Float32Array.of(scale), []),
    lengths,
    `${at}.zero`,
    graph.constant(`${at}.qkvZero`, Int8Array.of(0), []),
  ];
  return graph.microsoft('QAttention', inputs, `${at}.heads`, { num_heads });
}

/** Attention after its projections. */
function apart(graph, x, qkv, bias, at, num_heads, lengths) {
  const all = graph.linear(x, qkv, `${at}.qkv`, bias);
  const parts = ['q', 'k', 'v'].map((name) => `${at}.${name}`);
  graph.node('Split', [all], parts, { axis: 2, num_outputs: 3 });
  return graph.microsoft('MultiHeadAttention', [...parts, '', lengths], `${at}.heads`, { num_heads });
}

/** What follows attention in a layer of BERT and its like: the output, the two norms, the MLP. */
export function afterAttention(graph, x, mixed, weights, at, epsilon) {
  const get = (name) => weights(`${at}.${name}`);
  const skip = (input, output, from, name, bias) =>
    graph.microsoft(
      'SkipLayerNormalization',
      [
        input,
        output,
        ...layerNorm(graph, weights, `${at}.${from}.LayerNorm`, `${at}.${name}`),
        graph.constant(`${at}.${name}.skip`, get(bias).data),
      ],
      `${at}.${name}`,
      { epsilon },
    );
  const projected = graph.linear(mixed, get('attention.output.dense.weight'), `${at}.projected`);
  const middle = skip(x, projected, 'attention.output', 'middle', 'attention.output.dense.bias');
  const wide = graph.linear(middle, get('intermediate.dense.weight'), `${at}.wide`);
  const bent = graph.microsoft('BiasGelu', [wide, graph.constant(`${at}.wideBias`, get('intermediate.dense.bias').data)], `${at}.bent`);
  const narrow = graph.linear(bent, get('output.dense.weight'), `${at}.narrow`);
  return skip(middle, narrow, 'output', 'end', 'output.dense.bias');
}

function layer(graph, x, weights, at, { heads, epsilon, lengths, attention }) {
  const parts = (name) => joined(...['query', 'key', 'value'].map((part) => weights(`${at}.attention.self.${part}.${name}`)));
  const attend = attention === 'whole' ? whole : apart;
  const mixed = attend(graph, x, parts('weight'), parts('bias').data, at, heads, lengths);
  return afterAttention(graph, x, mixed, weights, at, epsilon);
}

/** Names of the vector of a text, and of its hidden state: rows of one text are averaged, and the mean has length 1. */
export function meanVector(graph, x) {
  graph.node('Identity', [x], 'hidden');
  graph.node('ReduceMean', [x, graph.constant('axis1', BigInt64Array.of(1n))], 'pooled', { keepdims: 0 });
  graph.node('LpNormalization', ['pooled'], 'vector', { axis: 1, p: 2 });
}

/** The same of texts of a batch: rows of padding weigh nothing, [texts, 1, tokens] · [texts, tokens, width]. */
function maskedVectors(graph, x) {
  graph.node('Identity', [x], 'hidden');
  graph.node('Cast', ['mask'], 'ones', { to: 1 });
  graph.node('Unsqueeze', ['ones', graph.constant('axis1', BigInt64Array.of(1n))], 'row');
  graph.node('Squeeze', [graph.node('MatMul', ['row', x], 'sum'), 'axis1'], 'pooled');
  graph.node('LpNormalization', ['pooled'], 'vector', { axis: 1, p: 2 });
}

/**
 * @param options `{ kind, attention: 'whole' | 'apart', masked }`; with a mask texts of a batch may be shorter than its rows
 * @returns a graph of `ids` and `types` to `x`, the last hidden state, and `mean`, that of each text; without a mask, the unit vector of one text
 */
export function bertGraph(config, weights, { kind, attention, masked }) {
  const graph = new Graph(kind);
  const epsilon = { float: config.layer_norm_eps };
  let x = embed(graph, weights, epsilon, masked);
  const options = { heads: config.num_attention_heads, epsilon, attention, lengths: masked ? 'lengths' : '' };
  for (let n = 0; n < config.num_hidden_layers; n++) x = layer(graph, x, weights, `encoder.layer.${n}`, options);
  const ids = { data: new Int32Array(0), dims: ['texts', 'tokens'] };
  const inputs = { ids, types: ids, ...(masked && { mask: ids }) };
  if (masked) maskedVectors(graph, x);
  else meanVector(graph, x);
  return { nodes: graph.nodes, inputs, constants: graph.constants, outputs: ['hidden', 'vector'] };
}
