/**
 * T5 as two graphs, as exports have it: the encoder, which also gives the keys and values that the decoder looks at, and one step of the decoder.
 * Attention is MultiHeadAttention with a bias, which is made once for each length and fed; q, k and v are one product.
 */
import { sliceRows } from '../../peers/lib/inputs.mjs';
import { denseT5Bias } from '../../peers/lib/positions.mjs';
import { Graph, joined } from './graph.mjs';

const tensor = (type, dims) => ({ data: new type(0), dims });

const range = (count) => Array.from({ length: count }, (_, n) => n);

/** What every query adds to the score of every key, or the last query alone: [1, heads, 1 or tokens, tokens]. */
export function biasOf(config, weights, stack, tokens) {
  const { num_heads: H, relative_attention_num_buckets: buckets, relative_attention_max_distance: maxDistance } = config;
  const { data } = weights(`${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`);
  const t5 = { buckets, maxDistance, bidirectional: stack === 'encoder' };
  const bias = denseT5Bias({ H, L: tokens, S: tokens, t5 }, data);
  return stack === 'encoder' ? bias : sliceRows(bias, H, tokens, tokens, tokens - 1, tokens);
}

/** A stack's running sum, and what its norm makes of it. */
class Stream {
  constructor(graph, weights, x, epsilon, first) {
    Object.assign(this, { graph, weights, sum: x, epsilon });
    this.normed = graph.node('SimplifiedLayerNormalization', [x, this.#gain(first)], `${x}.normed`, { axis: -1, epsilon });
  }

  #gain(name) {
    return this.graph.constant(name, this.weights(name).data);
  }

  add(x, norm) {
    this.graph.microsoft('SkipSimplifiedLayerNormalization', [this.sum, x, this.#gain(norm)], [`${x}.normed`, '', '', `${x}.sum`], {
      epsilon: this.epsilon,
    });
    [this.sum, this.normed] = [`${x}.sum`, `${x}.normed`];
  }
}

function selfAttention(graph, x, get, at, { heads, past = [], present = [] }) {
  const qkv = graph.linear(x, joined(...['q', 'k', 'v'].map((part) => get(`layer.0.SelfAttention.${part}.weight`))), `${at}.qkv`);
  const parts = ['q', 'k', 'v'].map((part) => `${at}.${part}`);
  graph.node('Split', [qkv], parts, { axis: 2, num_outputs: 3 });
  const inputs = [...parts, '', '', 'bias', ...past];
  graph.microsoft('MultiHeadAttention', inputs, [`${at}.heads`, ...present], { num_heads: heads, scale: { float: 1 } });
  return graph.linear(`${at}.heads`, get('layer.0.SelfAttention.o.weight'), `${at}.attended`);
}

function mlp(graph, x, get, at, layer) {
  const wide = graph.linear(x, get(`layer.${layer}.DenseReluDense.wi.weight`), `${at}.wide`);
  return graph.linear(graph.node('Relu', [wide], `${at}.bent`), get(`layer.${layer}.DenseReluDense.wo.weight`), `${at}.narrow`);
}

/** @returns a graph of `ids` and `bias` to `crossK0`, `crossV0` …, [1, heads, tokens, head's width] */
export function t5Encoder(config, weights, kind) {
  const graph = new Graph(kind);
  const { num_heads: heads, d_kv: width, num_layers: layers, layer_norm_epsilon } = config;
  const norm = (n, layer) => (n < layers ? `encoder.block.${n}.layer.${layer}.layer_norm.weight` : 'encoder.final_layer_norm.weight');
  const stream = new Stream(graph, weights, graph.rows(weights('shared.weight'), 'x'), { float: layer_norm_epsilon }, norm(0, 0));
  for (const n of range(layers)) {
    const at = `encoder.block.${n}`;
    const get = (name) => weights(`${at}.${name}`);
    stream.add(selfAttention(graph, stream.normed, get, at, { heads }), norm(n, 1));
    stream.add(mlp(graph, stream.normed, get, at, 1), norm(n + 1, 0));
  }
  graph.constant('headShape', BigInt64Array.from([0, 0, heads, width].map(BigInt)));
  const caches = range(config.num_decoder_layers).flatMap((n) => [`K${n}`, `V${n}`]);
  for (const name of caches) {
    const weight = weights(`decoder.block.${name.slice(1)}.layer.1.EncDecAttention.${name[0].toLowerCase()}.weight`);
    const rows = graph.node('Reshape', [graph.linear(stream.normed, weight, `rows${name}`), 'headShape'], `heads${name}`);
    graph.node('Transpose', [rows], `cross${name}`, { perm: [0, 2, 1, 3] });
  }
  return {
    nodes: graph.nodes,
    inputs: { ids: tensor(Int32Array, [1, 'tokens']), bias: tensor(Float32Array, [1, heads, 'tokens', 'tokens']) },
    constants: graph.constants,
    outputs: caches.map((name) => `cross${name}`),
    caches,
  };
}

function crossAttention(graph, x, get, at, n, heads) {
  const query = graph.linear(x, get('layer.1.EncDecAttention.q.weight'), `${at}.crossQ`);
  const scale = { float: 1 };
  graph.microsoft('MultiHeadAttention', [query, `crossK${n}`, `crossV${n}`], `${at}.crossHeads`, { num_heads: heads, scale });
  return graph.linear(`${at}.crossHeads`, get('layer.1.EncDecAttention.o.weight'), `${at}.crossed`);
}

/** @returns a graph of one token's `ids`, `bias`, `pastK0` … and `crossK0` … to `logits` and `presentK0` … */
export function t5Step(config, weights, kind) {
  const graph = new Graph(kind);
  const { d_model: width, num_heads: heads, d_kv: own, num_decoder_layers: layers, layer_norm_epsilon } = config;
  const norm = (n, layer) => (n < layers ? `decoder.block.${n}.layer.${layer}.layer_norm.weight` : 'decoder.final_layer_norm.weight');
  const table = weights('shared.weight');
  const stream = new Stream(graph, weights, graph.rows(table, 'x'), { float: layer_norm_epsilon }, norm(0, 0));
  for (const n of range(layers)) {
    const at = `decoder.block.${n}`;
    const get = (name) => weights(`${at}.${name}`);
    const names = ['K', 'V'].map((part) => `${part}${n}`);
    const [past, present] = ['past', 'present'].map((which) => names.map((name) => which + name));
    stream.add(selfAttention(graph, stream.normed, get, at, { heads, past, present }), norm(n, 1));
    stream.add(crossAttention(graph, stream.normed, get, at, n, heads), norm(n, 2));
    stream.add(mlp(graph, stream.normed, get, at, 2), norm(n + 1, 0));
  }
  const scaled = graph.node('Mul', [stream.normed, graph.constant('outputScale', Float32Array.of(1 / Math.sqrt(width)))], 'scaled');
  graph.linear(scaled, table, 'logits');
  const caches = range(layers).flatMap((n) => [`K${n}`, `V${n}`]);
  const cache = (which, length) => caches.map((name) => [which + name, tensor(Float32Array, [1, heads, length, own])]);
  return {
    nodes: graph.nodes,
    inputs: {
      ids: tensor(Int32Array, [1, 1]),
      bias: tensor(Float32Array, [1, heads, 1, 'total']),
      ...Object.fromEntries([...cache('past', 'past'), ...cache('cross', 'source')]),
    },
    constants: graph.constants,
    outputs: ['logits', ...caches.map((name) => `present${name}`)],
    caches,
  };
}
