/**
 * DeBERTa v3. onnxruntime has no operator for its attention, so it is products, gathers and a softmax as in an export, but folded as far as it goes:
 * embeddings of distances are projected beforehand, and the places of each pair are fed, not computed.
 */
import { afterAttention, layerNorm, meanVector } from './bert-graph.mjs';
import { Graph, joined } from './graph.mjs';

/** The row of the table for a distance: as it is up to half of the buckets, by its logarithm beyond. */
function bucket(distance, buckets, longest) {
  const middle = buckets / 2;
  const size = Math.abs(distance);
  if (size <= middle) return distance;
  const steps = Math.ceil((Math.log(size / middle) / Math.log((longest - 1) / middle)) * (middle - 1) - 1e-9) + middle;
  return distance < 0 ? -steps : steps;
}

/** For each head and pair, the rows of the table: of key by query, and the same of query by key; [1, heads, tokens, tokens] each. */
export function placesOf({ num_attention_heads: heads, position_buckets: buckets, max_position_embeddings: longest }, tokens) {
  const [byQuery, byKey] = [new BigInt64Array(heads * tokens * tokens), new BigInt64Array(heads * tokens * tokens)];
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < tokens; i++) {
      for (let j = 0; j < tokens; j++) {
        const place = BigInt(Math.min(2 * buckets - 1, Math.max(0, bucket(i - j, buckets, longest) + buckets)));
        byQuery[(h * tokens + i) * tokens + j] = place;
        byKey[(h * tokens + j) * tokens + i] = place;
      }
    }
  }
  return { byQuery, byKey };
}

/** Rows of [count, width] with mean 0 and variance 1, by gain and bias. */
function normed({ shape: [count, width], data }, gain, bias, epsilon) {
  const result = new Float32Array(data.length);
  for (let r = 0; r < count; r++) {
    const row = data.subarray(r * width, (r + 1) * width);
    const mean = row.reduce((a, b) => a + b, 0) / width;
    const spread = Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / width + epsilon);
    for (let n = 0; n < width; n++) result[r * width + n] = ((row[n] - mean) / spread) * gain[n] + bias[n];
  }
  return { shape: [count, width], data: result };
}

/** x · Wᵀ + b for each row, as [1, heads, head's width, rows]: what queries or keys meet. */
function projectedHeads({ shape: [count, width], data }, { data: weight }, { data: bias }, heads) {
  const own = width / heads;
  const result = new Float32Array(width * count);
  for (let r = 0; r < count; r++) {
    for (let o = 0; o < width; o++) {
      let sum = bias[o];
      for (let n = 0; n < width; n++) sum += data[r * width + n] * weight[o * width + n];
      result[o * count + r] = sum;
    }
  }
  return { data: result, dims: [1, heads, own, count] };
}

function attend(graph, x, weights, at, { heads, width, table }) {
  const own = width / heads;
  const get = (part, name) => weights(`${at}.attention.self.${part}_proj.${name}`);
  // The scale is that of three terms; it goes into the queries' projection, and into what keys meet.
  const scale = 1 / Math.sqrt(3 * own);
  const scaled = ({ shape, data }) => ({ shape, data: data.map((value) => value * scale) });
  const [keys, queries] = ['key', 'query'].map((part) => projectedHeads(table, get(part, 'weight'), get(part, 'bias'), heads));
  const qkv = graph.linear(
    x,
    joined(scaled(get('query', 'weight')), get('key', 'weight'), get('value', 'weight')),
    `${at}.qkv`,
    joined(scaled(get('query', 'bias')), get('key', 'bias'), get('value', 'bias')).data,
  );
  graph.node(
    'Split',
    [qkv],
    ['q', 'k', 'v'].map((name) => `${at}.${name}`),
    { axis: 2, num_outputs: 3 },
  );
  const split = (name, perm) =>
    graph.node('Transpose', [graph.node('Reshape', [`${at}.${name}`, 'headShape'], `${at}.${name}3`)], `${at}.${name}Heads`, { perm });
  const [q, k, v] = [split('q', [0, 2, 1, 3]), split('k', [0, 2, 1, 3]), split('v', [0, 2, 1, 3])];
  const kT = graph.node('Transpose', [k], `${at}.kT`, { perm: [0, 1, 3, 2] });
  const product = (a, b, name) => graph.node('MatMul', [a, b], `${at}.${name}`);
  const met = graph.node(
    'GatherElements',
    [product(q, graph.constant(`${at}.posKey`, keys.data, keys.dims), 'c2pAll'), 'byQuery'],
    `${at}.c2p`,
    { axis: 3 },
  );
  const posQuery = graph.constant(
    `${at}.posQuery`,
    queries.data.map((value) => value * scale),
    queries.dims,
  );
  const other = graph.node('GatherElements', [product(k, posQuery, 'p2cAll'), 'byKey'], `${at}.p2cT`, { axis: 3 });
  const turned = graph.node('Transpose', [other], `${at}.p2c`, { perm: [0, 1, 3, 2] });
  const scores = graph.node('Sum', [product(q, kT, 'qk'), met, turned], `${at}.scores`);
  const shares = graph.node('Softmax', [scores], `${at}.shares`, { axis: 3 });
  const mixed = graph.node('Transpose', [product(shares, v, 'mixed4')], `${at}.mixed3`, { perm: [0, 2, 1, 3] });
  return graph.node('Reshape', [mixed, 'flatShape'], `${at}.mixed`);
}

/** @returns a graph of `ids`, `byQuery` and `byKey` (placesOf) to `hidden`, and `vector`, the unit vector of the text */
export function debertaGraph(config, weights, { kind }) {
  const graph = new Graph(kind);
  const { hidden_size: width, num_attention_heads: heads, num_hidden_layers: layers, layer_norm_eps } = config;
  const epsilon = { float: layer_norm_eps };
  graph.constant('headShape', BigInt64Array.from([0, 0, heads, width / heads].map(BigInt)));
  graph.constant('flatShape', BigInt64Array.from([0, 0, width].map(BigInt)));
  const [gain, bias] = ['weight', 'bias'].map((name) => weights(`encoder.LayerNorm.${name}`).data);
  const table = normed(weights('encoder.rel_embeddings.weight'), gain, bias, layer_norm_eps);
  const rows = graph.rows(weights('embeddings.word_embeddings.weight'), 'x');
  let x = graph.node('LayerNormalization', [rows, ...layerNorm(graph, weights, 'embeddings.LayerNorm', 'embed')], 'embedded', {
    axis: -1,
    epsilon,
  });
  for (let n = 0; n < layers; n++) {
    const at = `encoder.layer.${n}`;
    x = afterAttention(graph, x, attend(graph, x, weights, at, { heads, width, table }), weights, at, epsilon);
  }
  meanVector(graph, x);
  const pairs = { data: new BigInt64Array(0), dims: [1, heads, 'tokens', 'tokens'] };
  return {
    nodes: graph.nodes,
    inputs: { ids: { data: new Int32Array(0), dims: [1, 'tokens'] }, byQuery: pairs, byKey: pairs },
    constants: graph.constants,
    outputs: ['hidden', 'vector'],
  };
}
