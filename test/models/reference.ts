/**
 * A whole model as its blueprint says it, in plain loops, never optimised. `round` is applied after every operation: the identity gives the f64
 * reference, `Math.fround` the naive f32 evaluation whose error is the measure of ours. Position schemes come as their plans, of which the parts
 * that models use are evaluated here by the formula of src/plan/plan.ts.
 */
import type {
  Activation,
  Attention,
  Blueprint,
  Classifier,
  Convolution,
  Dense,
  Embeddings,
  HeadNorm,
  Layer,
  Linear,
  LogitsHead,
  Mlp,
  Norm,
  Position,
  PositionCall,
  Residual,
  Sinusoids,
  Stack,
  Table,
  Weight,
} from '../../src/models/blueprint.ts';
import { isZeros, runsOf } from '../../src/models/tensors.ts';
import type { Arithmetic, Plan, Rotation, RowMap, Shape, SumIndex, Term } from '../../src/plan/plan.ts';
import { mergePlans } from '../../src/plan/plan.ts';
import type { SafeTensor } from '../../src/safetensors/index.ts';

export type Round = (x: number) => number;
export type Row = Float64Array<ArrayBuffer>;

const exactly: Round = (x) => x;
const math: Arithmetic = Math;
const at = (data: ArrayLike<number>, index: number): number => data[index] as number;

/** The numbers of a tensor of a file: f32, f16 or bf16. */
export function numbersOf({ dtype, data }: SafeTensor): Row {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  switch (dtype) {
    case 'F32':
      return Float64Array.from({ length: data.length / 4 }, (_, n) => view.getFloat32(4 * n, true));
    case 'F64':
      return Float64Array.from({ length: data.length / 8 }, (_, n) => view.getFloat64(8 * n, true));
    case 'I64':
      return Float64Array.from({ length: data.length / 8 }, (_, n) => Number(view.getBigInt64(8 * n, true)));
    case 'I32':
      return Float64Array.from({ length: data.length / 4 }, (_, n) => view.getInt32(4 * n, true));
    case 'BF16':
      return Float64Array.from({ length: data.length / 2 }, (_, n) => asFloat(view.getUint16(2 * n, true) << 16));
    case 'F16':
      return Float64Array.from({ length: data.length / 2 }, (_, n) => half(view.getUint16(2 * n, true)));
    default:
      throw new Error(`no numbers of ${dtype}`);
  }
}

const word = new DataView(new ArrayBuffer(4));

function asFloat(bits: number): number {
  word.setInt32(0, bits);
  return word.getFloat32(0);
}

/** sign, 5 bits of exponent, 10 of fraction. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** erf by its series and continued fraction, to f64. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 80; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let tail = 0;
  for (let n = 120; n > 0; n--) tail = n / 2 / (size + tail);
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + tail)));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const ACTIVATIONS: Record<Activation, (x: number) => number> = {
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_new: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quick_gelu: (x) => x * sigmoid(1.702 * x),
  silu: (x) => x * sigmoid(x),
  relu: (x) => Math.max(x, 0),
  relu2: (x) => Math.max(x, 0) ** 2,
  tanh: Math.tanh,
  sigmoid,
};

/** What a stack keeps of the rows that it has seen. */
export interface Seen {
  /** For each layer keys and values of every row, before they turn. */
  readonly layers: { readonly keys: Row[]; readonly values: Row[] }[];
}

export interface TextOptions {
  readonly segments?: readonly number[];
}

/** Told of the rows before the first layer (`embeddings`) and after each (`layers.0` …) of a stack, before its last norm. */
export type Watch = (name: string, rows: readonly Row[], stack: Stack) => void;

/** Told of the weights of each row of each attention, head after head, as they come. */
export type Weighing = (weights: readonly number[], head: number, row: number) => void;

export interface ReferenceSettings {
  readonly round?: Round;
  readonly longest?: number;
  readonly watch?: Watch;
  readonly weighing?: Weighing;
}

export class Reference {
  readonly blueprint: Blueprint;
  private readonly tensors: ReadonlyMap<string, SafeTensor>;
  private readonly round: Round;
  private readonly weights = new Map<Weight, Row>();
  private readonly numbers = new Map<string, Row>();
  private readonly tables = new Map<Position, Record<string, Float32Array>>();
  /** T: the most tokens of a text, for tables that end somewhere. */
  private readonly longest: number;
  private readonly watch: Watch | undefined;
  private readonly weighing: Weighing | undefined;

  constructor(
    blueprint: Blueprint,
    tensors: ReadonlyMap<string, SafeTensor>,
    { round = exactly, longest = 128, watch, weighing }: ReferenceSettings = {},
  ) {
    this.blueprint = blueprint;
    this.tensors = tensors;
    this.round = round;
    this.longest = longest;
    this.watch = watch;
    this.weighing = weighing;
  }

  /** The rows after an encoder's last layer and norm, [tokens][width]. */
  encode(ids: readonly number[], options: TextOptions = {}): Row[] {
    return this.run(this.blueprint.encoder as Stack, ids, this.nothingSeen(this.blueprint.encoder as Stack), options);
  }

  nothingSeen(stack: Stack = this.blueprint.decoder as Stack): Seen {
    return { layers: stack.layers.map(() => ({ keys: [], values: [] })) };
  }

  /** The rows of more tokens after a decoder's last layer and norm, behind those that it has seen. */
  decode(ids: readonly number[], seen: Seen = this.nothingSeen(), memory?: readonly Row[]): Row[] {
    return this.run(this.blueprint.decoder as Stack, ids, seen, {}, memory);
  }

  /** Logits over the vocabulary of one row. */
  logits(row: Row): Row {
    const head = this.blueprint.logits;
    if (!head) throw new Error('the blueprint has no head for logits');
    const out = this.linear(head.output, head.dense ? this.dense(head.dense, row) : row);
    if (head.logarithm) return this.logarithms(head, out, row);
    const scaled = head.scale === undefined ? out : out.map((x) => this.round(x * (head.scale as number)));
    return head.softcap === undefined ? scaled : scaled.map((x) => this.capped(x, head.softcap as number));
  }

  /** Logarithms of probabilities: of the first cluster's tokens and of the other clusters, each of which shares its own among its tokens. */
  private logarithms({ rare = [] }: LogitsHead, out: Row, row: Row): Row {
    const first = this.logSoftmax(out);
    const tokens = first.length - rare.length;
    const others = rare.map(({ dense, output }, n) => {
      const inside = this.logSoftmax(this.linear(output, this.dense(dense, row)));
      return inside.map((x) => this.round(x + at(first, tokens + n)));
    });
    return Float64Array.from([...first.subarray(0, tokens), ...others.flatMap((each) => [...each])]);
  }

  private logSoftmax(row: Row): Row {
    const most = Math.max(...row);
    const sum = row.reduce((total, x) => this.round(total + this.round(Math.exp(x - most))), 0);
    const log = this.round(Math.log(sum));
    return row.map((x) => this.round(this.round(x - most) - log));
  }

  /** Logits over labels of a whole text. */
  classify(rows: readonly Row[]): Row {
    const { pooling, steps } = this.blueprint.classifier as Classifier;
    return steps.reduce((row, step) => this.dense(step, row), this.pool(rows, pooling));
  }

  /** The first row through the pooler. */
  pooled(rows: readonly Row[]): Row {
    return this.dense(this.blueprint.pooler as Dense, rows[0] as Row);
  }

  pool(rows: readonly Row[], pooling: 'first' | 'last' | 'mean'): Row {
    if (pooling !== 'mean') return rows[pooling === 'first' ? 0 : rows.length - 1] as Row;
    const sum = (rows[0] as Row).map((_, n) => rows.reduce((total, row) => this.round(total + at(row, n)), 0));
    return sum.map((x) => this.round(x / rows.length));
  }

  /** Token after token with the largest logit, until one of the ends or `count` of them. */
  greedy(ids: readonly number[], count: number, memory?: readonly Row[]): number[] {
    const seen = this.nothingSeen();
    const out: number[] = [];
    let rows = this.decode(ids, seen, memory);
    while (out.length < count) {
      const logits = this.logits(rows[rows.length - 1] as Row);
      const next = logits.reduce((best, x, n) => (x > at(logits, best) ? n : best), 0);
      out.push(next);
      if (this.blueprint.tokens.ends.includes(next)) break;
      rows = this.decode([next], seen, memory);
    }
    return out;
  }

  private run(stack: Stack, ids: readonly number[], seen: Seen, options: TextOptions, memory?: readonly Row[]): Row[] {
    if (stack.memory && !seen.layers[0]?.keys.length) this.remember(stack, stack.memory, seen);
    const first = (seen.layers[0]?.keys.length ?? 0) - (stack.memory ?? 0);
    let rows = ids.map((id, n) => this.embed(stack.embeddings, id, first + n, options.segments?.[n] ?? 0));
    this.watch?.('embeddings', rows, stack);
    // What an attention of the first layer may read in their place.
    const { projection: _projection, norm: _norm, ...plain } = stack.embeddings;
    const unprojected = ids.map((id, n) => this.embed(plain, id, first + n, options.segments?.[n] ?? 0));
    stack.layers.forEach((layer, n) => {
      rows = this.layer(layer, rows, seen.layers[n] as Seen['layers'][number], options, { memory, unprojected });
      this.watch?.(`layers.${n}`, rows, stack);
    });
    return stack.norm ? rows.map((row) => this.norm(stack.norm as Norm, row)) : rows;
  }

  /** Rows of zeros, which every layer sees as its own input. */
  private remember({ layers }: Stack, count: number, seen: Seen): void {
    layers.forEach(({ attention }, n) => {
      const { keys, values } = seen.layers[n] as Seen['layers'][number];
      const zeros = new Float64Array(attention.key.weight.shape[1] as number);
      const row = attention.before ? this.norm(attention.before, zeros) : zeros;
      for (let m = 0; m < count; m++) {
        keys.push(this.linear(attention.key, row));
        values.push(this.linear(attention.value, row));
      }
    });
  }

  private embed(
    { token, rare = [], scale = 1, position, type, projection, norm }: Embeddings,
    id: number,
    p: number,
    segment: number,
  ): Row {
    const cluster = rare.findLast(({ first }) => id >= first);
    if (cluster) {
      return this.linear(cluster.projection, this.rowOf(cluster.table, id - cluster.first)).map((x) => this.round(x * scale));
    }
    let row = this.rowOf(token, id).map((x) => this.round(x * scale));
    if (type) row = this.add(row, this.rowOf(type, segment));
    if (position) row = this.add(row, this.rowOf(position.table, p + position.offset));
    if (projection) row = this.linear(projection, row);
    return norm ? this.norm(norm, row) : row;
  }

  /** Sums of the rows of blocks, normed: rows of keys behind those of tokens. What fills no block counts to the last. */
  private blockRows({ blocks }: Attention, rows: readonly Row[]): Row[] {
    if (!blocks) return [];
    const count = Math.floor(rows.length / blocks.size);
    return Array.from({ length: count }, (_, n) => {
      const own = rows.slice(n * blocks.size, n + 1 < count ? (n + 1) * blocks.size : rows.length);
      return this.norm(
        blocks.norm,
        own.reduce((sum, row) => this.add(sum, row)),
      );
    });
  }

  /** What a convolution makes of the rows of a text. */
  private convolved({ taps, bias, activation }: Convolution, rows: readonly Row[]): Row[] {
    const middle = (taps.length - 1) / 2;
    return rows.map((row, t) => {
      let sum = this.linear({ weight: taps[middle] as Weight, ...(bias && { bias }) }, row);
      taps.forEach((weight, n) => {
        const neighbour = rows[t + n - middle];
        if (n !== middle && neighbour) sum = this.add(sum, this.linear({ weight }, neighbour));
      });
      return sum.map((x) => this.round(ACTIVATIONS[activation](x)));
    });
  }

  private layer(
    layer: Layer,
    rows: Row[],
    seen: Seen['layers'][number],
    options: TextOptions,
    { memory, unprojected }: { readonly memory: readonly Row[] | undefined; readonly unprojected: readonly Row[] },
  ): Row[] {
    const { attention, cross, mlp, parallel } = layer;
    const attend = (given: Row[]): Row[] => this.attend(attention, given, given, seen, options);
    if (parallel) {
      const attended = this.added(attention, rows, attend);
      const fed = this.added(mlp, rows, (given) => given.map((row) => this.feed(mlp, row)));
      return rows.map((row, n) => this.add(this.add(attended[n] as Row, fed[n] as Row), row));
    }
    let out = this.inStream(attention, rows, attend, attention.unprojected ? unprojected : rows);
    if (cross) out = this.inStream(cross, out, (given) => this.attend(cross, given, memory ?? [], { keys: [], values: [] }, options));
    out = this.inStream(mlp, out, (given) => given.map((row) => this.feed(mlp, row)));
    const { beside } = layer;
    if (!beside) return out;
    return this.convolved(beside, rows).map((row, n) => this.norm(beside.post, this.add(row, out[n] as Row)));
  }

  /** multiplier · after( f( before(x) ) ). */
  private added({ before, after, multiplier = 1 }: Residual, rows: readonly Row[], f: (rows: Row[]) => Row[]): Row[] {
    const out = f(rows.map((row) => (before ? this.norm(before, row) : row)));
    const normed = after ? out.map((row) => this.norm(after, row)) : out;
    return multiplier === 1 ? normed : normed.map((row) => row.map((x) => this.round(x * multiplier)));
  }

  private inStream(residual: Residual, rows: readonly Row[], f: (rows: Row[]) => Row[], read: readonly Row[] = rows): Row[] {
    const out = this.added(residual, read, f).map((row, n) => this.add(row, rows[n] as Row));
    return residual.post ? out.map((row) => this.norm(residual.post as Norm, row)) : out;
  }

  private feed({ activation, gate, up, down }: Mlp, row: Row): Row {
    const act = (x: number): number => this.round(ACTIVATIONS[activation](x));
    const raised = this.linear(up, row);
    if (!gate) return this.linear(down, raised.map(act));
    const gates = this.linear(gate, row);
    return this.linear(
      down,
      raised.map((x, n) => this.round(act(at(gates, n)) * x)),
    );
  }

  private dense({ linear, activation, norm }: Dense, row: Row): Row {
    const out = this.linear(linear, row);
    const active = activation ? out.map((x) => this.round(ACTIVATIONS[activation](x))) : out;
    return norm ? this.norm(norm, active) : active;
  }

  private attend(attention: Attention, rows: Row[], source: readonly Row[], seen: Seen['layers'][number], options: TextOptions): Row[] {
    const { heads, keyHeads, headWidth: D, valueWidth: E, queryNorm, keyNorm } = attention;
    const project = (linear: Linear, row: Row): Row => this.clipped(attention, this.linear(linear, row));
    const queries = rows.map((row) => this.headNorm(queryNorm, project(attention.query, row), D));
    const blocks = this.blockRows(attention, source);
    const read = [...source, ...blocks];
    seen.keys.push(...read.map((row) => this.headNorm(keyNorm, project(attention.key, row), D)));
    seen.values.push(...read.map((row) => project(attention.value, row)));
    const [L, S] = [rows.length, seen.keys.length];
    const shape: Shape = { B: 1, H: heads, G: keyHeads, L, S, D, E };
    const queryOffset = S - blocks.length - L;
    const place = { queryOffset, keyOffset: 0, totalKeys: S };
    const call: PositionCall = { length: S, ...(options.segments && { segments: options.segments }) };
    const plans = attention.positions.map((position) => position.make(this.tablesOf(position), call).lower({ shape, place, math }));
    const plan = plans.length ? mergePlans('reference', plans) : {};
    const sinks = attention.sinks && this.numbersOf(attention.sinks);
    const scores = new Scores(attention, plan, shape, queryOffset, this.round);
    return queries.map((query, i) => {
      const out = new Float64Array(heads * E);
      for (let h = 0; h < heads; h++) {
        const g = Math.floor(h / (heads / keyHeads));
        const logits = seen.keys.map((key, j) =>
          scores.of(query.subarray(h * D, (h + 1) * D), key.subarray(g * D, (g + 1) * D), { h, g, i, j }),
        );
        const weights = this.softmax(logits, sinks && at(sinks, h));
        this.weighing?.(weights, h, i);
        for (let e = 0; e < E; e++) {
          out[h * E + e] = weights.reduce((sum, w, j) => this.round(sum + this.round(w * at(seen.values[j] as Row, g * E + e))), 0);
        }
      }
      return this.linear(attention.output, out);
    });
  }

  private clipped({ clip = Infinity }: Attention, row: Row): Row {
    return row.map((x) => Math.max(-clip, Math.min(clip, x)));
  }

  private softmax(logits: readonly number[], sink?: number): number[] {
    const most = Math.max(...logits, sink ?? -Infinity);
    if (most === -Infinity) return logits.map(() => 0);
    const powers = logits.map((x) => this.round(Math.exp(x - most)));
    const sum = powers.reduce((total, x) => this.round(total + x), sink === undefined ? 0 : Math.exp(sink - most));
    return powers.map((x) => this.round(x / sum));
  }

  private headNorm(norm: HeadNorm | undefined, row: Row, width: number): Row {
    if (!norm) return row;
    if (norm.over === 'all') return this.norm(norm, row);
    const out = new Float64Array(row.length);
    for (let start = 0; start < row.length; start += width) out.set(this.norm(norm, row.subarray(start, start + width)), start);
    return out;
  }

  norm({ kind, epsilon, weight, bias, offset = 0 }: Norm, row: Row): Row {
    const { round } = this;
    const sum = (values: Row): number => values.reduce((total, x) => round(total + x), 0);
    const mean = kind === 'layer' ? round(sum(row) / row.length) : 0;
    const centred = row.map((x) => round(x - mean));
    const variance = round(sum(centred.map((x) => round(x * x))) / row.length);
    const scale = round(1 / round(Math.sqrt(round(variance + epsilon))));
    const w = weight && this.numbersOf(weight);
    const b = bias && this.numbersOf(bias);
    return centred.map((x, n) => {
      const normed = round(x * scale);
      const weighted = w ? round(normed * round(at(w, n) + offset)) : normed;
      return b ? round(weighted + at(b, n)) : weighted;
    });
  }

  private add(a: Row, b: Row): Row {
    return a.map((x, n) => this.round(x + at(b, n)));
  }

  private capped(x: number, cap: number): number {
    return this.round(cap * this.round(Math.tanh(this.round(x / cap))));
  }

  linear({ weight, bias }: Linear, row: Row): Row {
    const [out, columns] = weight.shape as [number, number];
    const w = this.numbersOf(weight);
    const b = bias && this.numbersOf(bias);
    const result = new Float64Array(out);
    for (let n = 0; n < out; n++) {
      let sum = 0;
      for (let k = 0; k < columns; k++) sum = this.round(sum + this.round(at(row, k) * at(w, n * columns + k)));
      result[n] = b ? this.round(sum + at(b, n)) : sum;
    }
    return result;
  }

  private rowOf(weight: Weight, row: number): Row {
    const [rows, columns] = weight.shape as [number, number];
    if (!(row >= 0 && row < rows)) throw new RangeError(`row ${row} of ${rows}`);
    return this.numbersOf(weight).slice(row * columns, (row + 1) * columns);
  }

  /** The rows of a weight, put together from its parts. */
  numbersOf(weight: Weight): Row {
    const found = this.weights.get(weight);
    if (found) return found;
    const columns = weight.shape[1] ?? 1;
    const vector = weight.shape.length === 1;
    const out = new Float64Array((weight.shape[0] as number) * columns);
    let next = 0;
    for (const part of weight.parts) {
      if (isZeros(part)) {
        next += part.zeros;
        continue;
      }
      const all = this.tensor(part.tensor);
      const stored = part.shape.slice(1).reduce((a, b) => a * b, 1);
      for (const { first, count } of runsOf(part, vector)) {
        for (let row = first; row < first + count; row++, next++) {
          const [line, left, step] = part.columns ? [stored, part.columns.first, part.columns.step] : [columns, 0, 1];
          for (let k = 0; k < columns; k++)
            out[next * columns + k] = at(all, part.transposed ? k * stored + row : row * line + left + k * step);
        }
      }
    }
    if (next !== weight.shape[0]) throw new Error(`${next} rows for ${weight.shape[0]}`);
    this.weights.set(weight, out);
    return out;
  }

  private tensor(name: string): Row {
    const made = this.numbers.get(name) ?? numbersOf(this.tensors.get(name) as SafeTensor);
    this.numbers.set(name, made);
    return made;
  }

  private tablesOf(position: Position): Record<string, Float32Array> {
    const found = this.tables.get(position);
    if (found) return found;
    const made = Object.fromEntries(Object.entries(position.tables).map(([name, table]) => [name, Float32Array.from(this.table(table))]));
    this.tables.set(position, made);
    return made;
  }

  private table(table: Table): Row {
    if (!('kind' in table)) return this.numbersOf(table);
    const rows = 'kind' in table.rows ? this.sinusoids(table.rows) : this.rowsOf(table.rows);
    const projected = rows.map((row) => this.linear(table.by, table.norm ? this.norm(table.norm, row) : row));
    return Float64Array.from(projected.flatMap((row) => [...row]));
  }

  private rowsOf(weight: Weight): Row[] {
    return Array.from({ length: weight.shape[0] as number }, (_, n) => this.rowOf(weight, n));
  }

  private sinusoids({ width, base, span, clamp = Infinity }: Sinusoids): Row[] {
    const T = this.longest;
    return Array.from({ length: span === 'past' ? T : 2 * T - 1 }, (_, r) => {
      const distance = Math.max(-clamp, Math.min(clamp, T - 1 - r));
      const angles = Array.from({ length: width / 2 }, (_, i) => distance * base ** ((-2 * i) / width));
      return Float64Array.from([...angles.map(Math.sin), ...angles.map(Math.cos)]);
    });
  }
}

interface Pair {
  readonly h: number;
  readonly g: number;
  /** Query among those of the call, and key. */
  readonly i: number;
  readonly j: number;
}

/** The scores of one call. */
class Scores {
  private readonly attention: Attention;
  private readonly plan: Plan;
  private readonly shape: Shape;
  private readonly round: Round;
  private readonly biases: (({ h, i, j }: Pair, offset: number) => number)[];
  /** Where query 0 stands. */
  private readonly queryOffset: number;
  private readonly first: number;
  private readonly count: number;

  constructor(attention: Attention, plan: Plan, shape: Shape, queryOffset: number, round: Round) {
    const { normalization, contextTable, factors, valueTable } = plan;
    if (normalization || contextTable || factors?.length || valueTable) throw new Error('a part of a plan that no model here has');
    this.attention = attention;
    this.plan = plan;
    this.shape = shape;
    this.queryOffset = queryOffset;
    this.round = round;
    // All offsets j − i of standard positions.
    this.first = -(shape.S - 1);
    this.count = 2 * shape.S - 1;
    this.biases = (plan.biases ?? []).map((bias) => {
      if (bias.kind === 'index') {
        const size = bias.table.length / bias.heads;
        return ({ h, i, j }) => at(bias.table, (bias.heads === 1 ? 0 : h) * size + indexOf(bias.index, i, j, shape.S));
      }
      if (bias.kind !== 'offset' || bias.gate || bias.queries) throw new Error('a bias that no model here has');
      const values = new Float32Array(bias.heads * this.count);
      bias.fill(values, this.first, this.count);
      const scaled = values.map((x) => x * (bias.coefficient ?? 1));
      return ({ h }, offset) => at(scaled, (bias.heads === 1 ? 0 : h) * this.count + offset - this.first);
    });
  }

  of(query: Row, key: Row, pair: Pair): number {
    const { round, plan, shape, attention } = this;
    const { h, i, j } = pair;
    const position = i + this.queryOffset;
    const offset = j - position;
    if (!this.sees(offset, j)) return -Infinity;
    const q = turned(query, position, plan.rotation, round);
    const k = turned(key, j, plan.rotation, round);
    const scaled = plan.rowScale ? q.map((x) => round(x * at(plan.rowScale as Float32Array, i))) : q;
    const biased = plan.queryBias ? scaled.map((x, d) => round(x + at(plan.queryBias as Float32Array, h * shape.D + d))) : scaled;
    let score = round(this.dot(biased, k) * attention.scale);
    for (const term of plan.terms ?? []) score = round(score + this.term(term, scaled, k, pair, offset));
    if (attention.softcap !== undefined) {
      score = round(attention.softcap * round(Math.tanh(round(score / attention.softcap))));
    }
    for (const bias of this.biases) score = round(score + bias(pair, offset));
    return score;
  }

  private sees(offset: number, j: number): boolean {
    const { causal, window, blocks } = this.attention;
    if (blocks && j >= this.shape.L) return true;
    return !(causal && offset > 0) && -offset <= (window?.left ?? Infinity) && offset <= (window?.right ?? Infinity);
  }

  private dot(a: Row, b: Row): number {
    return a.reduce((sum, x, n) => this.round(sum + this.round(x * at(b, n))), 0);
  }

  private term({ kind, table, heads, rows, bias, scale }: Term, q: Row, k: Row, { h, i, j }: Pair, offset: number): number {
    const { D } = this.shape;
    const height = table.length / (heads * D);
    const row = rowIn(rows, i, j, offset, this.shape);
    if (row < 0 || row >= height) return 0;
    const start = ((heads === 1 ? 0 : h) * height + row) * D;
    const own = kind === 'key' ? k : bias ? q.map((x, d) => this.round(x + at(bias, h * D + d))) : q;
    return this.round(this.dot(own, Float64Array.from(table.subarray(start, start + D))) * (scale ?? this.attention.scale));
  }
}

function rowIn(rows: RowMap, i: number, j: number, offset: number, { S }: Shape): number {
  if (rows.kind === 'offset') return rows.row(offset);
  return indexOf(rows.index, i, j, S);
}

function indexOf(index: Int32Array | SumIndex, i: number, j: number, S: number): number {
  if (index instanceof Int32Array) return at(index, i * S + j);
  const sum = at(index.rows, i) + at(index.columns, j);
  return index.map ? at(index.map, sum) : sum;
}

/** A row of q or k of one head, turned as at a position of one axis. */
function turned(row: Row, position: number, rotation: Rotation | undefined, round: Round): Row {
  if (!rotation) return row;
  const { dim, start = 0, layout, layoutOut = layout, frequencies, factor = 1, offset = 0 } = rotation;
  if (rotation.queryPositions || rotation.blocks || rotation.second || rotation.growth || rotation.heads !== undefined) {
    throw new Error('a rotation that no model here has');
  }
  const out = row.slice();
  for (let i = 0; i < dim / 2; i++) {
    const angle = (position + offset) * at(frequencies, i);
    const [cos, sin] = [round(Math.cos(angle) * factor), round(Math.sin(angle) * factor)];
    const [from, to] = [placesOf(layout, i, dim), placesOf(layoutOut, i, dim)];
    const [x, y] = [at(row, start + from[0]), at(row, start + from[1])];
    out[start + to[0]] = round(round(x * cos) - round(y * sin));
    out[start + to[1]] = round(round(x * sin) + round(y * cos));
  }
  return out;
}

const placesOf = (layout: 'halves' | 'pairs', i: number, dim: number): readonly [number, number] =>
  layout === 'halves' ? [i, i + dim / 2] : [2 * i, 2 * i + 1];
