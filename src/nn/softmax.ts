import { integer, scaleFactor, wrongValue } from '../arguments/check.ts';
import { flag, type Readers, readRecord } from '../arguments/record.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import { type LayerCall, type LayerContext, runLayer, runLayerSync } from './context.ts';
import { anything, callOf, expectApart, forbidSignal, Layer, signalReader } from './layer.ts';
import { readOut, readRows, rowsOf } from './rows.ts';
import { SoftmaxStage, TopStage } from './score-stages.ts';

/** Options of `softmax`. */
export interface SoftmaxOptions {
  /** True: the natural logarithms of the probabilities. Default false. */
  readonly log?: boolean;
  /** Divides x first; above 0. Default 1. */
  readonly temperature?: number;
}

/** Options of a call of `Softmax`. */
export interface SoftmaxRunOptions {
  /** Written instead of a new tensor: f32 of the shape of x. May be x itself. */
  readonly out?: Tensor;
  /** Stops the call; an `out` of yours then holds what was done of it. */
  readonly signal?: Signal;
}

const READERS: Readers<SoftmaxOptions> = { log: flag, temperature: (where, name, value) => scaleFactor(where, name, value) };
const RUN_READERS: Readers<SoftmaxRunOptions> = { out: anything, signal: signalReader };

/** Probabilities of rows of f32 [..., n]: exp(x/temperature) by their sum. Made by `softmax` of `createLayers`. */
export class Softmax extends Layer {
  readonly #log: boolean;
  readonly #temperature: number;

  /** @internal */
  constructor(where: string, options: unknown, layers: LayerContext) {
    super(layers);
    const { log = false, temperature = 1 } = readRecord<SoftmaxOptions>(where, options, READERS);
    this.#log = log;
    this.#temperature = temperature;
  }

  /**
   * @param x f32 [..., n]; −Infinity is never chosen, a row with a NaN or Infinity becomes NaN
   * @returns f32 of the same shape
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   */
  async run(x: Tensor, options: SoftmaxRunOptions = {}): Promise<Tensor> {
    const checked = readRecord<SoftmaxRunOptions>('run', options, RUN_READERS);
    return runLayer(this.layers, this.#call('run', x, checked), checked);
  }

  /** `run` before returning. @throws as `run` */
  runSync(x: Tensor, options: Omit<SoftmaxRunOptions, 'signal'> = {}): Tensor {
    const checked = readRecord<SoftmaxRunOptions>('runSync', options, RUN_READERS);
    forbidSignal('runSync', checked);
    return runLayerSync(this.layers, this.#call('runSync', x, checked));
  }

  #call(where: string, x: Tensor, options: SoftmaxRunOptions): LayerCall {
    this.alive();
    const { context } = this.layers;
    const input = readRows(where, 'x', x, undefined, context);
    const { shape } = input;
    const { rows, stride } = rowsOf(where, 'x', input);
    const out = options.out === undefined ? undefined : readOut(where, options.out, shape, context);
    if (out) expectApart(where, 'out', out, [['x', input]], [input]);
    return callOf(this.layers, { where, shape }, out, (scope, target) => {
      if (!rows) return [];
      const stage = new SoftmaxStage(context, scope, { width: shape.at(-1) as number, log: this.#log });
      scope.defer(input.pin());
      const to = { out: target.pointer, outRow: rowsOf(where, 'out', target).stride, outputs: [target] };
      return [stage.stage({ rows, x: input.pointer, xRow: stride, divisor: this.#temperature, ...to })];
    });
  }
}

/** Options of `topK`. */
export interface TopKOptions {
  /** How many of each row, ≥ 1. */
  readonly k: number;
}

/** Options of a call of `TopK`. */
export interface TopKRunOptions {
  /** Stops the call. */
  readonly signal?: Signal;
}

/** The largest of each row, and where they stand. */
export interface Largest {
  /** f32 [..., k], falling. */
  readonly values: Tensor;
  /** i32 [..., k]. */
  readonly indices: Tensor;
}

/**
 * The k largest of rows of f32 [..., n], falling; of equal ones the first in the row first. NaN counts as the largest, so that a row that went wrong
 * shows. Made by `topK` of `createLayers`.
 */
export class TopK extends Layer {
  readonly k: number;

  /** @internal */
  constructor(where: string, options: unknown, layers: LayerContext) {
    super(layers);
    const { k } = readRecord<TopKOptions>(where, options, { k: (where, name, value) => integer(where, name, value, 1) });
    this.k = integer(where, 'k', k, 1);
  }

  /**
   * @param x f32 [..., n], n ≥ k
   * @throws TypeError, RangeError if an argument is wrong
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   */
  async run(x: Tensor, options: TopKRunOptions = {}): Promise<Largest> {
    const checked = readRecord<TopKRunOptions>('run', options, { signal: signalReader });
    const { call, indices } = this.#call('run', x);
    try {
      return { values: await runLayer(this.layers, call, checked), indices };
    } catch (error) {
      indices.dispose();
      throw error;
    }
  }

  /** `run` before returning. @throws as `run` */
  runSync(x: Tensor): Largest {
    const { call, indices } = this.#call('runSync', x);
    try {
      return { values: runLayerSync(this.layers, call), indices };
    } catch (error) {
      indices.dispose();
      throw error;
    }
  }

  #call(where: string, x: Tensor): { call: LayerCall; indices: Tensor } {
    this.alive();
    const { context } = this.layers;
    const input = readRows(where, 'x', x, undefined, context);
    const width = input.shape.at(-1) as number;
    if (width < this.k) throw wrongValue(where, 'x', `rows of at least k = ${this.k}`, `${width}`);
    const { rows, stride } = rowsOf(where, 'x', input);
    const shape = [...input.shape.slice(0, -1), this.k];
    const indices = makeTensor(context, where, shape, undefined, 'i32');
    try {
      const call = callOf(this.layers, { where, shape }, undefined, (scope, values) => {
        if (!rows) return [];
        const stage = new TopStage(context, scope, width);
        scope.defer(input.pin());
        scope.defer(indices.pin());
        const to = { values: values.pointer, indices: indices.pointer, outputs: [values, indices] };
        return [stage.stage({ rows, count: this.k, x: input.pointer, xRow: stride, ...to })];
      });
      return { call, indices };
    } catch (error) {
      indices.dispose();
      throw error;
    }
  }
}
