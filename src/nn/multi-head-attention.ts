import { shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { choice, type Reader, type Readers, readRecord, whole } from '../arguments/record.ts';
import { prepareAttention } from '../attention/attention.ts';
import { type AttentionOptions, type CheckedOptions, checkOptions } from '../attention/options.ts';
import type { FloatDType } from '../memory/dtypes.ts';
import { type Operand, type Read, readOperand } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor, type TensorLike } from '../memory/tensor.ts';
import type { Call } from '../plan/context.ts';
import type { Signal } from '../platform/types.ts';
import type { Stage } from '../threads/types.ts';
import { type LayerCall, type LayerContext, runLayer, runLayerSync } from './context.ts';
import { anything, callOf, expectApart, forbidSignal, Layer, signalReader } from './layer.ts';
import { checkBias, type Matrix, Projection } from './projection.ts';
import { readOut, readRows, rowsOf } from './rows.ts';
import { WEIGHT_TYPES, type WeightType } from './weights.ts';

/** A linear map of the layer. */
export interface ProjectionOptions {
  /** [outputs, inputs], as PyTorch has it. */
  readonly weight: TensorLike;
  /** [outputs]; default none. */
  readonly bias?: TensorLike;
}

/** What attention does in every call of a layer; see `AttentionOptions`. */
type Always = Pick<AttentionOptions, 'encoding' | 'causal' | 'window' | 'scale' | 'softcap' | 'sinks' | 'qkNorm'>;

/** What it does in one call. */
type Once = Pick<AttentionOptions, 'mask' | 'keyLengths' | 'cache' | 'positions' | 'queryOffsets' | 'keyOffsets'>;

/** Options of `multiHeadAttention`; those of attention hold in every call. */
export interface MultiHeadAttentionOptions extends Always {
  /** H: heads of the queries. */
  readonly heads: number;
  /** G: heads of keys and values, a divisor of H; default H. */
  readonly keyHeads?: number;
  /** [H·D, K]. */
  readonly query: ProjectionOptions;
  /** [G·D, K]; for cross-attention its inputs may be other ones, those of `memory`. */
  readonly key: ProjectionOptions;
  /** [G·E, K]; inputs as of `key`. */
  readonly value: ProjectionOptions;
  /** [N, H·E]. */
  readonly output: ProjectionOptions;
  /** How weights are kept; default as they are given. */
  readonly type?: WeightType;
}

/** Options of a call of `MultiHeadAttention`; those of attention are of this call alone. */
export interface MultiHeadAttentionRunOptions extends Once {
  /** What keys and values are made of, default x: f32 [B, S, M], or [U, M] packed. null: of nothing, the keys of the `cache` are all there are. */
  readonly memory?: Tensor | null;
  /** Written instead of a new tensor: f32 [B, L, N] or [T, N]. Shares memory with nothing that the call reads, unless it is the `residual` itself. */
  readonly out?: Tensor;
  /** Added at the end: f32 of the shape of the result. */
  readonly residual?: Tensor;
  /** Stops the call; an `out` of yours then holds what was done of it, a cache what it held before. */
  readonly signal?: Signal;
}

const ALWAYS = ['encoding', 'causal', 'window', 'scale', 'softcap', 'sinks', 'qkNorm'] as const;
const ONCE = ['mask', 'keyLengths', 'cache', 'positions', 'queryOffsets', 'keyOffsets'] as const;

const PROJECTION: Readers<ProjectionOptions> = { weight: anything, bias: anything };
const projection: Reader<ProjectionOptions> = (where, name, value) => readRecord(where, value, PROJECTION, name);
/** Checked by attention. */
const passed = (names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, anything]));

const readers = (): Readers<MultiHeadAttentionOptions> => ({
  ...(passed(ALWAYS) as Readers<Always>),
  heads: whole(1),
  keyHeads: whole(1),
  query: projection,
  key: projection,
  value: projection,
  output: projection,
  type: choice(...WEIGHT_TYPES),
});

const runReaders = (): Readers<MultiHeadAttentionRunOptions> => ({
  ...(passed(ONCE) as Readers<Once>),
  memory: anything,
  out: anything,
  residual: anything,
  signal: signalReader,
});

/** The options of these names. */
function pick<T extends object>(given: T, names: readonly string[]): object {
  return Object.fromEntries(names.filter((name) => Object.hasOwn(given, name)).map((name) => [name, given[name as keyof T]]));
}

/** A matrix and its bias, checked. */
function readMatrix(where: string, name: string, given: ProjectionOptions | undefined, layers: LayerContext): Matrix & { weight: Operand } {
  if (given?.weight === undefined) throw wrongType(where, `${name}.weight`, 'a tensor', given?.weight);
  const weight = readOperand(where, `${name}.weight`, given.weight, layers.context);
  const [outputs = 0, inputs = 0] = weight.shape;
  if (weight.shape.length !== 2 || outputs < 1 || inputs < 1) {
    throw wrongValue(where, `${name}.weight`, 'shape [outputs ≥ 1, inputs ≥ 1]', shapeText(weight.shape));
  }
  const bias = given.bias === undefined ? undefined : readOperand(where, `${name}.bias`, given.bias, layers.context);
  checkBias(where, `${name}.bias`, bias, outputs);
  return { weight, bias };
}

/** The numbers of the layer's dimensions. */
interface Sizes {
  readonly H: number;
  readonly G: number;
  readonly D: number;
  readonly E: number;
}

type Name = 'query' | 'key' | 'value' | 'output';

function sizesOf(where: string, H: number, G: number, matrices: Readonly<Record<Name, Matrix>>): Sizes {
  if (H % G !== 0) throw wrongValue(where, 'keyHeads', `a divisor of heads = ${H}`, `${G}`);
  const perHead = (name: Name, heads: number): number => {
    const [outputs] = matrices[name].weight.shape as [number];
    if (outputs % heads !== 0) throw wrongValue(where, `${name}.weight`, `a multiple of ${heads} outputs, one for each head`, `${outputs}`);
    return outputs / heads;
  };
  const [D, E] = [perHead('query', H), perHead('value', G)];
  const expectShape = (name: Name, outputs: number, inputs: number): void => {
    const { shape } = matrices[name].weight;
    if (shape[0] !== outputs || shape[1] !== inputs) {
      throw wrongValue(where, `${name}.weight`, `shape ${shapeText([outputs, inputs])}`, shapeText(shape));
    }
  };
  const inputs = matrices.key.weight.shape[1] as number;
  expectShape('key', G * D, inputs);
  expectShape('value', G * E, inputs);
  expectShape('output', matrices.output.weight.shape[0] as number, H * E);
  return { H, G, D, E };
}

/** Rows of a batch [B, L, n], or of packed sequences [T, n], which are one of a batch unless offsets say where they end. */
interface Batch {
  readonly rows: number;
  readonly stride: number;
  readonly B: number;
  readonly L: number;
}

/** What queries, keys and values are made of. */
interface Sources {
  readonly x: Tensor;
  readonly own: Batch;
  /** Of keys and values; undefined: there are no new ones. */
  readonly source: Tensor | undefined;
  readonly theirs: Batch | undefined;
  /** Sequences one after another, [T, heads, width]. */
  readonly packed: boolean;
}

function batchOf(where: string, name: string, tensor: Tensor): Batch {
  const { shape } = tensor;
  if (shape.length !== 2 && shape.length !== 3) throw wrongValue(where, name, 'shape [B, L, n] or [T, n]', shapeText(shape));
  const [B, L] = (shape.length === 3 ? shape : [1, ...shape]) as [number, number];
  return { ...rowsOf(where, name, tensor), B, L };
}

/**
 * Multi-head attention with its linear maps: softmax(q·kᵀ …)·v of q = x·Wqᵀ + bq and likewise k and v, then by the output's map. Made by
 * `multiHeadAttention` of `createLayers`; owned by the caller, who ends it with `dispose()` or `using`.
 *
 * Queries, keys and values are one product where they have one source, attention reads its parts where they lie, and all of it is one job.
 */
export class MultiHeadAttention extends Layer {
  readonly #sizes: Sizes;
  readonly #outputs: number;
  readonly #always: object;
  /** Of queries, keys and values; or of queries alone, and of keys and values, which have other inputs. */
  readonly #query: Projection;
  readonly #keys: Projection;
  readonly #output: Projection;

  /** @internal */
  constructor(where: string, options: unknown, layers: LayerContext) {
    super(layers);
    const given = readRecord<MultiHeadAttentionOptions>(where, options, readers());
    const { heads, keyHeads = heads } = given;
    if (heads === undefined) throw wrongType(where, 'heads', 'an integer', heads);
    this.#always = pick(given, ALWAYS);
    checkOptions(where, this.#always);
    const read = (name: Name) => readMatrix(where, name, given[name], layers);
    const matrices = { query: read('query'), key: read('key'), value: read('value'), output: read('output') };
    const { query, key, value, output } = matrices;
    this.#sizes = sizesOf(where, heads, keyHeads, matrices);
    this.#outputs = output.weight.shape[0] as number;
    const type = given.type ?? (query.weight.dtype as FloatDType);
    const made: Projection[] = [];
    const make = (...list: Matrix[]): Projection => {
      const projection = new Projection(where, layers, list, type);
      made.push(projection);
      return projection;
    };
    try {
      const fused = query.weight.shape[1] === key.weight.shape[1];
      this.#query = fused ? make(query, { ...key, apart: true }, value) : make(query);
      this.#keys = fused ? this.#query : make(key, value);
      this.#output = make(output);
    } catch (error) {
      for (const projection of made) projection.dispose();
      throw error;
    }
  }

  /** Bytes of the weights. */
  get bytes(): number {
    return [...new Set([this.#query, this.#keys, this.#output])].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * @param x f32 [B, L, K]; or [T, K], one sequence, or with `queryOffsets` several one after another
   * @returns f32 [B, L, N] or [T, N]
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `busy`, `kernel-trap`; the signal's reason if it is aborted
   */
  async run(x: Tensor, options: MultiHeadAttentionRunOptions = {}): Promise<Tensor> {
    const checked = readRun('run', options);
    const { call, attention } = this.#call('run', x, checked);
    return settle(attention, () => runLayer(this.layers, call, checked));
  }

  /** `run` before returning. @throws as `run` */
  runSync(x: Tensor, options: Omit<MultiHeadAttentionRunOptions, 'signal'> = {}): Tensor {
    const checked = readRun('runSync', options);
    forbidSignal('runSync', checked);
    const { call, attention } = this.#call('runSync', x, checked);
    let failed = true;
    try {
      const out = runLayerSync(this.layers, call);
      attention.finish();
      failed = false;
      return out;
    } finally {
      attention.release(failed);
    }
  }

  #call(where: string, x: Tensor, options: MultiHeadAttentionRunOptions): { call: LayerCall; attention: Call } {
    this.alive();
    const { context } = this.layers;
    const input = readRows(where, 'x', x, this.#query.inputs, context);
    const own = batchOf(where, 'x', input);
    const shape = [...input.shape.slice(0, -1), this.#outputs];
    const { memory = input, residual: added } = options;
    const source = memory === null ? undefined : readRows(where, memory === input ? 'x' : 'memory', memory, this.#keys.inputs, context);
    const theirs = source && batchOf(where, 'memory', source);
    if (source && (source.shape.length !== input.shape.length || theirs?.B !== own.B)) {
      const expected = input.shape.length === 3 ? [own.B, 'S', this.#keys.inputs] : ['U', this.#keys.inputs];
      throw wrongValue(where, 'memory', `shape ${shapeText(expected)}`, shapeText(source.shape));
    }
    const residual = added === undefined ? undefined : readRows(where, 'residual', added, this.#outputs, context);
    if (residual && shapeText(residual.shape) !== shapeText(shape)) {
      throw wrongValue(where, 'residual', `shape ${shapeText(shape)}`, shapeText(residual.shape));
    }
    const reads: Read[] = [['x', input]];
    if (source) reads.push(['memory', source]);
    if (residual) reads.push(['residual', residual]);
    const out = options.out === undefined ? undefined : readOut(where, options.out, shape, context);
    if (out) expectApart(where, 'out', out, reads, residual && [residual]);
    const checked = checkOptions(where, { ...this.#always, ...pick(options, ONCE) });
    const packed = checked.queryOffsets !== undefined;
    if (packed && input.shape.length !== 2) throw wrongValue(where, 'x', 'shape [T, K] beside "queryOffsets"', shapeText(input.shape));
    let attention: Call | undefined;
    try {
      const call = callOf(this.layers, { where, shape }, out, (scope, target) => {
        for (const tensor of [input, source, residual]) if (tensor) scope.defer(tensor.pin());
        const from = { x: input, own, source, theirs, packed };
        const { stages, q, k, v } = this.#project(where, scope, from);
        const { H, E } = this.#sizes;
        const attended = scope.own(makeTensor(context, where, [own.rows, H * E]));
        const whole = packed ? [own.rows, H, E] : [own.B, own.L, H, E];
        const result = scope.own(attended.restride(whole, rowMajor(whole)));
        const layout: CheckedOptions = packed ? checked : { ...checked, layout: 'blhd' };
        attention = prepareAttention(context, where, q, k, v, { ...layout, out: result }, false);
        const before = [...stages, ...attention.preparations, attention.job];
        if (!own.rows) return before;
        const last = this.#output.stage(scope).stage({
          rows: own.rows,
          x: attended.pointer,
          xRow: 4 * H * E,
          out: target.pointer,
          outRow: rowsOf(where, 'out', target).stride,
          residual: residual?.pointer ?? 0,
          residualRow: residual ? rowsOf(where, 'residual', residual).stride : 0,
          outputs: [target],
        });
        return [...before, last];
      });
      return { call, attention: attention as Call };
    } catch (error) {
      attention?.release(true);
      throw error;
    }
  }

  /** The stages that make q, k and v, and these, where they lie in what is made: nothing is moved. */
  #project(where: string, scope: Scope, { x, own, source, theirs, packed }: Sources) {
    const { context } = this.layers;
    const { H, G, D, E } = this.#sizes;
    const stages: Stage[] = [];
    /** Channels of a projection for rows, as a matrix of its own. */
    const product = (projection: Projection, from: number, count: number, rows: Tensor, { rows: n, stride }: Batch): Tensor => {
      const made = scope.own(makeTensor(context, where, [n, count]));
      if (n) {
        const stage = projection.stage(scope, from, count);
        stages.push(stage.stage({ rows: n, x: rows.pointer, xRow: stride, out: made.pointer, outRow: 4 * count }));
      }
      return made;
    };
    /** Heads of such a matrix. */
    const heads = (of: Tensor, { B, L }: Batch, count: number, width: number, offset: number): Tensor => {
      const row = of.shape[1] as number;
      const [shape, strides] = packed
        ? [
            [L, count, width],
            [row, width, 1],
          ]
        : [
            [B, L, count, width],
            [L * row, row, width, 1],
          ];
      return scope.own(of.restride(shape as number[], strides as number[], offset));
    };
    const kv = this.#keys.starts.at(-2) as number;
    if (source === x && this.#keys === this.#query) {
      const all = product(this.#query, 0, this.#query.outputs, x, own);
      return { stages, q: heads(all, own, H, D, 0), k: heads(all, own, G, D, kv), v: heads(all, own, G, E, kv + G * D) };
    }
    const q = heads(product(this.#query, 0, H * D, x, own), own, H, D, 0);
    if (!source || !theirs) return { stages, q };
    const made = product(this.#keys, kv, G * (D + E), source, theirs);
    return { stages, q, k: heads(made, theirs, G, D, 0), v: heads(made, theirs, G, E, G * D) };
  }

  override dispose(): void {
    if (this.disposed) return;
    super.dispose();
    for (const projection of new Set([this.#query, this.#keys, this.#output])) projection.dispose();
  }
}

/** The options of a call. null is a memory of nothing. */
function readRun(where: string, options: unknown): MultiHeadAttentionRunOptions {
  return readRecord<MultiHeadAttentionRunOptions>(where, options, runReaders());
}

/** Awaits a run and settles the attention in it. */
async function settle(attention: Call, run: () => Promise<Tensor>): Promise<Tensor> {
  let failed = true;
  try {
    const out = await run();
    attention.finish();
    failed = false;
    return out;
  } finally {
    attention.release(failed);
  }
}

const rowMajor = (shape: readonly number[]): number[] => shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
