/**
 * The ways onnxruntime can compute a case, as graphs. Several are given where it is not clear beforehand which is fastest, or
 * where the obvious one is slow; all of them are timed, and the fastest counts.
 *
 * A graph is `{ variant, layout, nodes, inputs, constants, outputs, fetches, repeat }`: `inputs` are fed from JavaScript in
 * every run, `constants` live in the model, `fetches` are the outputs handed back, `repeat` is the units of work in one run.
 */
import { sliceRows, swapAxes } from './inputs.mjs';
import { denseT5Bias, rotaryTables } from './positions.mjs';

const MICROSOFT = 'com.microsoft';

const tensor = (data, ...dims) => ({ data, dims });

const headsFirst = (data, heads, length, D) => tensor(data, 1, heads, length, D);

const positionsFirst = (data, heads, length, D) => tensor(swapAxes(data, heads, length, D), 1, length, heads * D);

const graph = (variant, layout, parts) => ({
  variant,
  layout,
  constants: {},
  outputs: ['out'],
  fetches: ['out'],
  repeat: 1,
  ...parts,
});

const headsFirstInputs = ({ H, G, L, S, D }, { q, k, v }) => ({
  q: headsFirst(q, H, L, D),
  k: headsFirst(k, G, S, D),
  v: headsFirst(v, G, S, D),
});

const positionsFirstInputs = ({ H, G, L, S, D }, { q, k, v }) => ({
  q: positionsFirst(q, H, L, D),
  k: positionsFirst(k, G, S, D),
  v: positionsFirst(v, G, S, D),
});

/** A bias computed once serves every layer of a model, so it counts as a constant: no copy per run. */
const biasConstant = (testCase, { table }) => {
  const { H, L, S, t5 } = testCase;
  return t5 ? { bias: tensor(denseT5Bias(testCase, table), 1, H, L, S) } : {};
};

function standardAttention(testCase, inputs) {
  const attention = {
    op: 'Attention',
    inputs: ['q', 'k', 'v', ...(testCase.t5 ? ['bias'] : [])],
    outputs: ['out'],
    attributes: { is_causal: Number(testCase.causal) },
  };
  return graph('Attention-23', 'bhld', {
    nodes: [attention],
    inputs: headsFirstInputs(testCase, inputs),
    constants: biasConstant(testCase, inputs),
  });
}

function multiHeadAttention(testCase, inputs) {
  const attention = {
    op: 'MultiHeadAttention',
    domain: MICROSOFT,
    inputs: ['q', 'k', 'v', ...(testCase.t5 ? ['', '', 'bias'] : [])],
    outputs: ['out'],
    attributes: { num_heads: testCase.H, unidirectional: Number(testCase.causal) },
  };
  return graph('MultiHeadAttention', 'blhd', {
    nodes: [attention],
    inputs: positionsFirstInputs(testCase, inputs),
    constants: biasConstant(testCase, inputs),
  });
}

/**
 * GroupQueryAttention over `past` cached keys. `idleSink` adds an attention sink too small to change any result: it keeps
 * the operator off its flash path, whose blocks shrink to 1×1 in WebAssembly and whose causal form is slow natively.
 */
function groupQuery(testCase, { idleSink, past }) {
  const { H, G, S, D, rotary } = testCase;
  const constants = {
    lastKey: tensor(Int32Array.of(S - 1), 1),
    total: tensor(Int32Array.of(S), 1),
    ...(idleSink && { sink: tensor(new Float32Array(H).fill(-1e30), H) }),
  };
  if (rotary) {
    const { cos, sin } = rotaryTables(testCase);
    Object.assign(constants, { cos: tensor(cos, S, D / 2), sin: tensor(sin, S, D / 2) });
  }
  const node = {
    op: 'GroupQueryAttention',
    domain: MICROSOFT,
    inputs: [
      ...['q', 'k', 'v'],
      ...(past ? ['pastK', 'pastV'] : ['', '']),
      ...['lastKey', 'total'],
      ...(rotary ? ['cos', 'sin'] : ['', '']),
      ...(idleSink ? ['', '', 'sink'] : []),
    ],
    outputs: ['out', 'presentK', 'presentV'],
    attributes: { num_heads: H, kv_num_heads: G, do_rotary: Number(Boolean(rotary)) },
  };
  return { nodes: [node], constants, outputs: node.outputs };
}

const groupQueryWhole = (testCase, inputs, variant, idleSink) =>
  graph(variant, 'blhd', {
    ...groupQuery(testCase, { idleSink, past: false }),
    inputs: positionsFirstInputs(testCase, inputs),
  });

/** Rotation as its own operator before plain attention. */
function rotaryThenAttention(testCase, inputs) {
  const { L, D } = testCase;
  const { cos, sin } = rotaryTables(testCase);
  const rotate = (from, to) => ({ op: 'RotaryEmbedding', inputs: [from, 'cos', 'sin'], outputs: [to] });
  const attention = {
    op: 'Attention',
    inputs: ['rotatedQ', 'rotatedK', 'v'],
    outputs: ['out'],
    attributes: { is_causal: 1 },
  };
  return graph('RotaryEmbedding + Attention-23', 'bhld', {
    nodes: [rotate('q', 'rotatedQ'), rotate('k', 'rotatedK'), attention],
    inputs: headsFirstInputs(testCase, inputs),
    constants: { cos: tensor(cos, 1, L, D / 2), sin: tensor(sin, 1, L, D / 2) },
  });
}

function attentionGraphs(testCase, inputs) {
  if (testCase.rotary) {
    return [
      rotaryThenAttention(testCase, inputs),
      groupQueryWhole(testCase, inputs, 'GroupQueryAttention, idle sink', true),
      groupQueryWhole(testCase, inputs, 'GroupQueryAttention, as shipped', false),
    ];
  }
  const graphs = [standardAttention(testCase, inputs), multiHeadAttention(testCase, inputs)];
  if (testCase.causal) graphs.push(groupQueryWhole(testCase, inputs, 'GroupQueryAttention, idle sink', true));
  return graphs;
}

/** As a model is exported: past goes in and present comes out in every step. */
function decodeWithState(testCase, { q, k, v }) {
  const { H, G, S, D } = testCase;
  const newest = (data) => tensor(sliceRows(data, G, S, D, S - 1, S), 1, 1, G * D);
  const past = (data) => tensor(sliceRows(data, G, S, D, 0, S - 1), 1, G, S - 1, D);
  return graph('GroupQueryAttention, past in, present out', 'blhd', {
    ...groupQuery(testCase, { idleSink: false, past: true }),
    inputs: { q: tensor(q, 1, 1, H * D), k: newest(k), v: newest(v), pastK: past(k), pastV: past(v) },
    fetches: ['out', 'presentK', 'presentV'],
  });
}

/** The caller keeps keys and values, appends to them itself, and feeds them whole: nothing is concatenated or handed back. */
function decodeFed(testCase, inputs) {
  const attention = { op: 'Attention', inputs: ['q', 'k', 'v'], outputs: ['out'] };
  return graph('Attention-23, cache fed', 'bhld', { nodes: [attention], inputs: headsFirstInputs(testCase, inputs) });
}

/** The kernel alone: keys and values already in the runtime's memory. No growing cache can be kept there; a lower bound. */
function decodeConstant(testCase, inputs) {
  const { q, ...constants } = headsFirstInputs(testCase, inputs);
  const attention = { op: 'Attention', inputs: ['q', 'k', 'v'], outputs: ['out'] };
  return graph('Attention-23, cache constant', 'bhld', { nodes: [attention], inputs: { q }, constants });
}

/** Chained, so that the copies between JavaScript and the runtime's memory weigh as little as inside a model. */
const ROTARY_CHAIN = 16;

function rotaryGraphs(testCase, { x }) {
  const { H, L, D } = testCase;
  const { cos, sin } = rotaryTables(testCase);
  const node = (_, n) => ({
    op: 'RotaryEmbedding',
    domain: MICROSOFT,
    inputs: [n === 0 ? 'x' : `x${n}`, 'position', 'cos', 'sin'],
    outputs: [n === ROTARY_CHAIN - 1 ? 'out' : `x${n + 1}`],
  });
  return [
    graph(`RotaryEmbedding, ${ROTARY_CHAIN} chained`, 'blhd', {
      nodes: Array.from({ length: ROTARY_CHAIN }, node),
      inputs: { x: positionsFirst(x, H, L, D) },
      constants: {
        position: tensor(BigInt64Array.of(0n), 1),
        cos: tensor(cos, L, D / 2),
        sin: tensor(sin, L, D / 2),
      },
      repeat: ROTARY_CHAIN,
    }),
  ];
}

const BUILDERS = {
  attention: attentionGraphs,
  decode: (testCase, inputs) => [decodeWithState, decodeFed, decodeConstant].map((build) => build(testCase, inputs)),
  rotary: rotaryGraphs,
};

export const onnxGraphs = (testCase, inputs) => BUILDERS[testCase.kind](testCase, inputs);
