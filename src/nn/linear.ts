import { shapeText, wrongValue } from '../arguments/check.ts';
import { choice, flag, type Readers, readRecord } from '../arguments/record.ts';
import { DTYPES, type FloatDType } from '../memory/dtypes.ts';
import { type Operand, placeOperand, type Read, readOperand } from '../memory/operands.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor, type TensorLike } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import { jobOf } from '../threads/job.ts';
import * as field from '../wasm/generated/layers.ts';
import { ACTIVATIONS, type Activation } from './activations.ts';
import { type LayerCall, type LayerContext, runLayer, runLayerSync } from './context.ts';
import { anything, callOf, expectApart, forbidSignal, Layer, signalReader } from './layer.ts';
import { biasChannels, type LinearRows, LinearStage } from './linear-stage.ts';
import { readOut, readRows, rowsOf } from './rows.ts';
import { type Panels, packStage, panelBytes, panelCount, WEIGHT_TYPES, type WeightType } from './weights.ts';

/** Options of `linear`. */
export interface LinearOptions {
  /** [N, K], as PyTorch has it; with `transposed` [K, N], as GPT-2's Conv1D. With `gated` 2N for N, the gate first. */
  readonly weight: TensorLike;
  /** [N], or with `gated` [2N], the gate's first; default none. */
  readonly bias?: TensorLike;
  /** How the weights are kept; default as they are given. */
  readonly type?: WeightType;
  /** Of the sum, or with `gated` of the gate alone; default none. */
  readonly activation?: Activation;
  /** y = act(gate) · up: two layers in one, whose products run together. */
  readonly gated?: boolean;
  readonly transposed?: boolean;
}

/** Options of a call of `Linear`. */
export interface LinearRunOptions {
  /** Written instead of a new tensor: f32 [..., N]. Shares memory with nothing that the call reads, unless it is the `residual` itself. */
  readonly out?: Tensor;
  /** Added at the end: f32 [..., N]. */
  readonly residual?: Tensor;
  /** Stops the call; an `out` of yours then holds what was done of it. */
  readonly signal?: Signal;
}

/** Numbers of a row at most: sums of so many products of bytes fit 32 bits. */
const MOST_INPUTS = 262_144;

const READERS: Readers<LinearOptions> = {
  weight: anything,
  bias: anything,
  type: choice(...WEIGHT_TYPES),
  activation: choice(...ACTIVATIONS),
  gated: flag,
  transposed: flag,
};

const RUN_READERS: Readers<LinearRunOptions> = {
  out: anything,
  residual: anything,
  signal: signalReader,
};

/** What the options of a layer come to. */
interface Checked extends Omit<Panels, 'pointer'> {
  readonly weight: Operand;
  readonly bias: Operand | undefined;
  readonly activation: Activation | undefined;
  readonly transposed: boolean;
}

/** @throws TypeError, RangeError that names the option */
function check(where: string, options: unknown, { context }: LayerContext): Checked {
  const { activation, gated = false, transposed = false, ...rest } = readRecord<LinearOptions>(where, options, READERS);
  const weight = readOperand(where, 'weight', rest.weight, context);
  const [first = 0, second = 0] = weight.shape;
  const [channels, inputs] = transposed ? [second, first] : [first, second];
  const most = `1 ≤ K ≤ ${MOST_INPUTS}`;
  const twice = gated ? 'an even N ≥ 2' : 'N ≥ 1';
  if (weight.shape.length !== 2 || channels < 1 || inputs < 1 || inputs > MOST_INPUTS || (gated && channels % 2)) {
    throw wrongValue(where, 'weight', `shape ${shapeText(transposed ? [most, twice] : [twice, most])}`, shapeText(weight.shape));
  }
  const bias = rest.bias === undefined ? undefined : readOperand(where, 'bias', rest.bias, context);
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== channels)) {
    throw wrongValue(where, 'bias', `shape ${shapeText([channels])}`, shapeText(bias.shape));
  }
  const { type = weight.dtype as FloatDType } = rest;
  return { weight, bias, activation, transposed, type, gated, outputs: gated ? channels / 2 : channels, inputs };
}

/** A bias as the panels have it: of a gate and what is gated eight by eight in turn. */
function biasInPanels(numbers: Float32Array, weights: Omit<Panels, 'pointer'>): Float32Array {
  const { outputs, gated } = weights;
  const parts = gated ? 2 : 1;
  const inOrder = new Float32Array(biasChannels(weights));
  for (let n = 0; n < numbers.length; n++) {
    const [part, channel] = n < outputs ? [0, n] : [1, n - outputs];
    const panel = Math.floor(channel / field.PANEL) * parts + part;
    inOrder[panel * field.PANEL + (channel % field.PANEL)] = numbers[n] as number;
  }
  return inOrder;
}

/** Packs the rows of a matrix, or of a gate and what is gated. */
function packWeight({ context, pool }: LayerContext, weight: Tensor, panels: Panels, transposed: boolean): void {
  const scope = new Scope(context.arena);
  try {
    const { bytes } = DTYPES[weight.dtype];
    const [first, second] = weight.strides.map((stride) => stride * bytes) as [number, number];
    const [row, column] = transposed ? [second, first] : [first, second];
    const { outputs: count, gated } = panels;
    const rows = { pointer: weight.pointer, dtype: weight.dtype as FloatDType, row, column, first: 0, count };
    const stages = [packStage(scope, panels, rows, context.threads)];
    if (gated) stages.push(packStage(scope, panels, { ...rows, pointer: rows.pointer + count * row, up: true }, context.threads));
    pool.runSync(jobOf(stages));
  } finally {
    scope.release();
  }
}

/**
 * y = act(x·Wᵀ + b) + residual, or with a gate act(x·Wgᵀ + bg) · (x·Wuᵀ + bu) + residual. Made by `linear` of `createLayers`; owned by the caller,
 * who ends it with `dispose()` or `using`.
 *
 * Sums of f32 go over k from 0 on, so a row of y has the same bits whatever rows are computed beside it and on however many threads. With `'i8'` and
 * `'i4'` a row of x is rounded to integers by its largest size (7 bits, with `'i4'` 8), products and their sums are exact, and the bits are the same
 * in every runtime. A row of x that is not finite makes NaN of its own row of y: with integers of the whole row.
 */
export class Linear extends Layer {
  /** K: numbers of a row of x. */
  readonly inputs: number;
  /** N: numbers of a row of y. */
  readonly outputs: number;
  readonly type: WeightType;
  readonly #shape: Omit<Panels, 'pointer'>;
  readonly #activation: Activation | undefined;
  readonly #panels: Tensor;
  readonly #bias: Tensor | undefined;

  /** @internal */
  constructor(where: string, options: unknown, layers: LayerContext) {
    super(layers);
    const { context } = layers;
    const { weight, bias, activation, transposed, ...shape } = check(where, options, layers);
    this.#shape = shape;
    this.#activation = activation;
    this.inputs = shape.inputs;
    this.outputs = shape.outputs;
    this.type = shape.type;
    const scope = new Scope(context.arena);
    try {
      if (bias) {
        const numbers = biasInPanels(placeOperand(where, bias, context, scope).toArray(), shape);
        this.#bias = this.hold(makeTensor(context, where, [numbers.length], numbers));
      }
      this.#panels = this.hold(makeTensor(context, where, [panelCount(shape), panelBytes(shape.type, shape.inputs)], undefined, 'i8'));
      packWeight(layers, placeOperand(where, weight, context, scope), { ...shape, pointer: this.#panels.pointer }, transposed);
    } catch (error) {
      this.dispose();
      throw error;
    } finally {
      scope.release();
    }
  }

  /** Bytes of the weights. */
  get bytes(): number {
    return panelCount(this.#shape) * panelBytes(this.type, this.inputs);
  }

  /**
   * @param x f32 [..., K]: rows of any number, at one distance
   * @returns f32 [..., N]
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * const layer = nn.linear({ weight: engine.tensor([2, 3], [1, 2, 3, 4, 5, 6]), bias: engine.tensor([2], [10, 20]) });
   * const y = await layer.run(engine.tensor([1, 3], [1, 0, -1]));
   * y.toArray(); // [8, 18]
   * engine.dispose();
   * ```
   */
  async run(x: Tensor, options: LinearRunOptions = {}): Promise<Tensor> {
    const checked = readRecord<LinearRunOptions>('run', options, RUN_READERS);
    return runLayer(this.layers, this.#call('run', x, checked), checked);
  }

  /** `run` before returning. @throws as `run` */
  runSync(x: Tensor, options: Omit<LinearRunOptions, 'signal'> = {}): Tensor {
    const checked = readRecord<LinearRunOptions>('runSync', options, RUN_READERS);
    forbidSignal('runSync', checked);
    return runLayerSync(this.layers, this.#call('runSync', x, checked));
  }

  #call(where: string, x: Tensor, options: LinearRunOptions): LayerCall {
    this.alive();
    const { context, fused } = this.layers;
    const input = rowsOf(where, 'x', readRows(where, 'x', x, this.inputs, context));
    const shape = [...x.shape.slice(0, -1), this.outputs];
    const given = options.out === undefined ? undefined : readOut(where, options.out, shape, context);
    const residual = options.residual === undefined ? undefined : readRows(where, 'residual', options.residual, this.outputs, context);
    if (residual && shapeText(residual.shape) !== shapeText(shape)) {
      throw wrongValue(where, 'residual', `shape ${shapeText(shape)}`, shapeText(residual.shape));
    }
    const added = residual && rowsOf(where, 'residual', residual);
    if (given) {
      const reads: Read[] = [['x', x]];
      if (residual) reads.push(['residual', residual]);
      expectApart(where, 'out', given, reads, residual ? [residual] : []);
    }
    return callOf(this.layers, { where, shape }, given, (scope, out) => {
      if (!input.rows) return [];
      const weights = { ...this.#shape, pointer: this.#panels.pointer };
      const parts = { bias: this.#bias?.pointer ?? 0, activation: this.#activation, fused };
      this.pinAll(scope);
      for (const tensor of [x, residual]) if (tensor) scope.defer(tensor.pin());
      const rows: LinearRows = {
        rows: input.rows,
        x: x.pointer,
        xRow: input.stride,
        out: out.pointer,
        outRow: rowsOf(where, 'out', out).stride,
        residual: residual?.pointer ?? 0,
        residualRow: added?.stride ?? 0,
        outputs: [out],
      };
      return [new LinearStage(context, scope, weights, parts).stage(rows)];
    });
  }
}
