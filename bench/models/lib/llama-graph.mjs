/**
 * LLaMA as onnxruntime's model builder writes it: GroupQueryAttention with packed and rotated q, k and v, SkipSimplifiedLayerNormalization; gate and
 * up are one product. Past keys and values go in and present ones come out in every step, as in every exported model.
 */
import { Graph, joined } from './graph.mjs';

/** cos and sin of every position, [positions, half a head's width]. */
function rotaryTables({ max_position_embeddings: positions, rope_theta: theta }, width) {
  const half = width / 2;
  const [cos, sin] = [new Float32Array(positions * half), new Float32Array(positions * half)];
  for (let p = 0; p < positions; p++) {
    for (let n = 0; n < half; n++) {
      const angle = p * theta ** ((-2 * n) / width);
      cos[p * half + n] = Math.cos(angle);
      sin[p * half + n] = Math.sin(angle);
    }
  }
  return { cos, sin, dims: [positions, half] };
}

function attend(graph, normed, get, at, n, { heads, keyHeads }) {
  const qkv = graph.linear(normed, joined(...['q', 'k', 'v'].map((part) => get(`self_attn.${part}_proj.weight`))), `${at}.qkv`);
  const inputs = [qkv, '', '', `pastK${n}`, `pastV${n}`, 'lastKey', 'total', 'cos', 'sin'];
  graph.microsoft('GroupQueryAttention', inputs, [`${at}.heads`, `presentK${n}`, `presentV${n}`], {
    num_heads: heads,
    kv_num_heads: keyHeads,
    do_rotary: 1,
  });
  return graph.linear(`${at}.heads`, get('self_attn.o_proj.weight'), `${at}.projected`);
}

function gated(graph, normed, get, at) {
  const [gate, up] = ['gate', 'up'].map((part) => get(`mlp.${part}_proj.weight`));
  const both = graph.linear(normed, joined(gate, up), `${at}.both`);
  graph.node('Split', [both], [`${at}.gate`, `${at}.up`], { axis: 2, num_outputs: 2 });
  const bent = graph.microsoft('QuickGelu', [`${at}.gate`], `${at}.bent`, { alpha: { float: 1 } });
  return graph.linear(graph.node('Mul', [bent, `${at}.up`], `${at}.inner`), get('mlp.down_proj.weight'), `${at}.down`);
}

/**
 * The same with an attention sink too small to change any result: it keeps GroupQueryAttention off its flash path, whose blocks shrink to 1×1 in
 * WebAssembly. Many rows take two thirds of the time with it, one row up to one and a half times as long.
 */
export const withIdleSink = (graph, heads) => ({
  ...graph,
  constants: { ...graph.constants, sink: { data: new Float32Array(heads).fill(-1e30), dims: [heads] } },
  nodes: graph.nodes.map((node) => (node.op === 'GroupQueryAttention' ? { ...node, inputs: [...node.inputs, '', '', 'sink'] } : node)),
});

/**
 * @param kind of weights, as Graph has them
 * @returns a graph of `ids`, `lastKey`, `total`, `pastK0` … to `logits` of the last token and `presentK0` …
 */
export function llamaGraph(config, weights, kind) {
  const graph = new Graph(kind);
  const { hidden_size: width, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: keyHeads } = config;
  const epsilon = { float: config.rms_norm_eps };
  const headWidth = width / heads;
  const { cos, sin, dims } = rotaryTables(config, headWidth);
  graph.constant('cos', cos, dims);
  graph.constant('sin', sin, dims);
  const table = weights('model.embed_tokens.weight');
  const scale = (name) => graph.constant(name, weights(name).data);
  let skip = graph.rows(table, 'x');
  let normed = graph.node('SimplifiedLayerNormalization', [skip, scale('model.layers.0.input_layernorm.weight')], 'first', {
    axis: -1,
    epsilon,
  });
  const add = (x, name, to) => {
    graph.microsoft('SkipSimplifiedLayerNormalization', [skip, x, scale(name)], [`${to}.normed`, '', '', `${to}.sum`], { epsilon });
    [skip, normed] = [`${to}.sum`, `${to}.normed`];
  };
  for (let n = 0; n < layers; n++) {
    const at = `model.layers.${n}`;
    const get = (name) => weights(`${at}.${name}`);
    add(attend(graph, normed, get, at, n, { heads, keyHeads }), `${at}.post_attention_layernorm.weight`, `${at}.middle`);
    const next = n + 1 < layers ? `model.layers.${n + 1}.input_layernorm.weight` : 'model.norm.weight';
    add(gated(graph, normed, get, at), next, `${at}.end`);
  }
  const last = graph.node('Gather', [normed, graph.constant('last', BigInt64Array.of(-1n))], 'lastRow', { axis: 1 });
  graph.linear(last, table, 'logits');
  const names = Array.from({ length: layers }, (_, n) => [`K${n}`, `V${n}`]).flat();
  const past = { data: new Float32Array(0), dims: [1, keyHeads, 'past', headWidth] };
  const int = (dims) => ({ data: new Int32Array(0), dims });
  return {
    nodes: graph.nodes,
    inputs: {
      ids: int([1, 'tokens']),
      lastKey: int([1]),
      total: int([]),
      ...Object.fromEntries(names.map((name) => [`past${name}`, past])),
    },
    constants: graph.constants,
    outputs: ['logits', ...names.map((name) => `present${name}`)],
    caches: names,
  };
}
