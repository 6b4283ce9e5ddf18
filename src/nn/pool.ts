import { shapeText, wrongValue } from '../arguments/check.ts';
import { copyLengths, type Integers } from '../arguments/lists.ts';
import { choice, type Readers, readRecord } from '../arguments/record.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import { type LayerCall, type LayerContext, runLayer, runLayerSync } from './context.ts';
import { anything, callOf, expectApart, forbidSignal, Layer, signalReader } from './layer.ts';
import { POOLING_NAMES, type Pooling, PoolStage } from './row-stages.ts';
import { readOut, readRows, rowsOf } from './rows.ts';

/** Options of `pool`. */
export interface PoolOptions {
  /** Default `'mean'`. */
  readonly kind?: Pooling;
}

/** Options of a call of `Pool`. */
export interface PoolRunOptions {
  /** [texts + 1]: text t has the rows offsets[t] … offsets[t + 1] − 1; from 0 to T, none falling. Default one text of all rows. */
  readonly offsets?: Integers;
  /** Written instead of a new tensor: f32 [texts, n]. */
  readonly out?: Tensor;
  /** Stops the call; an `out` of yours then holds what was done of it. */
  readonly signal?: Signal;
}

const READERS: Readers<PoolOptions> = { kind: choice(...POOLING_NAMES) };
const RUN_READERS: Readers<PoolRunOptions> = { offsets: copyLengths as never, out: anything, signal: signalReader };

/**
 * One row for each text, of its rows in a packed batch. Made by `pool` of `createLayers`. A text without rows gives 0. Sums go over the rows in their
 * order.
 */
export class Pool extends Layer {
  readonly kind: Pooling;

  /** @internal */
  constructor(where: string, options: unknown, layers: LayerContext) {
    super(layers);
    this.kind = readRecord<PoolOptions>(where, options, READERS).kind ?? 'mean';
  }

  /**
   * @param x f32 [T, n]: the rows of all texts, one after another
   * @returns f32 [texts, n]
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   */
  async run(x: Tensor, options: PoolRunOptions = {}): Promise<Tensor> {
    const checked = readRecord<PoolRunOptions>('run', options, RUN_READERS);
    return runLayer(this.layers, this.#call('run', x, checked), checked);
  }

  /** `run` before returning. @throws as `run` */
  runSync(x: Tensor, options: Omit<PoolRunOptions, 'signal'> = {}): Tensor {
    const checked = readRecord<PoolRunOptions>('runSync', options, RUN_READERS);
    forbidSignal('runSync', checked);
    return runLayerSync(this.layers, this.#call('runSync', x, checked));
  }

  #call(where: string, x: Tensor, options: PoolRunOptions): LayerCall {
    this.alive();
    const { context } = this.layers;
    const input = readRows(where, 'x', x, undefined, context);
    if (input.shape.length !== 2) throw wrongValue(where, 'x', 'shape [T, n]', shapeText(input.shape));
    const [rows, width] = input.shape as [number, number];
    const { stride } = rowsOf(where, 'x', input);
    const starts = Int32Array.from((options.offsets as unknown as Float64Array | undefined) ?? [0, rows]);
    if (starts.length < 1 || starts[0] !== 0 || starts.at(-1) !== rows || starts.some((start, n) => start < (starts[n - 1] ?? 0))) {
      throw wrongValue(where, 'offsets', `numbers from 0 to ${rows}, none falling`, [...starts]);
    }
    const texts = starts.length - 1;
    const shape = [texts, width];
    const out = options.out === undefined ? undefined : readOut(where, options.out, shape, context);
    if (out) expectApart(where, 'out', out, [['x', input]]);
    return callOf(this.layers, { where, shape }, out, (scope, target) => {
      if (!texts) return [];
      const stage = new PoolStage(context, scope, { kind: this.kind, width });
      scope.defer(input.pin());
      const to = { out: target.pointer, outRow: rowsOf(where, 'out', target).stride, outputs: [target] };
      return [stage.stage({ texts, rows, x: input.pointer, xRow: stride, starts: scope.upload(starts), ...to })];
    });
  }
}
