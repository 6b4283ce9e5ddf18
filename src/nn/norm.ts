import { finite, scaleFactor, shapeText, wrongValue } from '../arguments/check.ts';
import { type Reader, type Readers, readRecord } from '../arguments/record.ts';
import type { Read } from '../memory/operands.ts';
import type { Tensor, TensorLike } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import { type LayerCall, type LayerContext, runLayer, runLayerSync } from './context.ts';
import { anything, callOf, expectApart, forbidSignal, Layer, readVector, signalReader } from './layer.ts';
import { type NormKind, NormStage } from './row-stages.ts';
import { isEven, partRows, readRows, sameElements } from './rows.ts';

/** Options of `layerNorm`. */
export interface LayerNormOptions {
  /** [n]; default ones, for rows of any length. */
  readonly weight?: TensorLike;
  /** [n]; default none. */
  readonly bias?: TensorLike;
  /** Added to the variance; default 1e-5. */
  readonly epsilon?: number;
}

/** Options of `rmsNorm`. */
export interface RMSNormOptions {
  /** [n]; default ones, for rows of any length. */
  readonly weight?: TensorLike;
  /** Added to every weight: 1 for Gemma's checkpoints. Default 0. */
  readonly offset?: number;
  /** Added to the mean of squares; default 1e-6. */
  readonly epsilon?: number;
}

/** Options of `normalize`. */
export interface NormalizeOptions {
  /** A row is divided by its length or by this, whichever is more; default 1e-12. */
  readonly epsilon?: number;
}

/** Options of a call of `Norm`. */
export interface NormRunOptions {
  /** Written instead of a new tensor: f32 of the shape of x. May be x itself. */
  readonly out?: Tensor;
  /** Added to x first: f32 of the shape of x. */
  readonly residual?: Tensor;
  /** Where x + residual goes: f32 of the shape of x. May be x or the residual themselves. */
  readonly sum?: Tensor;
  /** Stops the call; an `out` or a `sum` of yours then holds what was done of it. */
  readonly signal?: Signal;
}

interface NormOptions extends LayerNormOptions, RMSNormOptions {}

/** What a norm has unless it is said. */
interface Kind {
  readonly kind: NormKind;
  readonly epsilon: number;
  /** Its options. */
  readonly readers: Partial<Readers<NormOptions>>;
}

const number: Reader<number> = (where, name, value) => finite(where, name, value);
const positive: Reader<number> = (where, name, value) => scaleFactor(where, name, value);

const KINDS: Readonly<Record<'layerNorm' | 'rmsNorm' | 'normalize', Kind>> = {
  layerNorm: { kind: 'layer', epsilon: 1e-5, readers: { weight: anything, bias: anything, epsilon: positive } },
  rmsNorm: { kind: 'rms', epsilon: 1e-6, readers: { weight: anything, offset: number, epsilon: positive } },
  normalize: { kind: 'unit', epsilon: 1e-12, readers: { epsilon: positive } },
};

const RUN_READERS: Readers<NormRunOptions> = { out: anything, residual: anything, sum: anything, signal: signalReader };

/**
 * Normalises rows of f32 [..., n]. Made by `layerNorm`, `rmsNorm` and `normalize` of `createLayers`; owned by the caller, who ends it with `dispose()`
 * or `using`.
 *
 * Variance is taken about the mean, in a second pass, so a row far from 0 loses nothing. Sums have one order: bits do not depend on threads or strides. A row that
 * is not finite leaves the others alone.
 */
export class Norm extends Layer {
  readonly #kind: NormKind;
  readonly #epsilon: number;
  readonly #offset: number;
  readonly #weight: Tensor | undefined;
  readonly #bias: Tensor | undefined;
  readonly #width: number | undefined;

  /** @internal */
  constructor(where: keyof typeof KINDS, options: unknown, layers: LayerContext) {
    super(layers);
    const { kind, epsilon, readers } = KINDS[where];
    const given = readRecord<NormOptions>(where, options, readers as Readers<NormOptions>);
    const weight = readVector(where, 'weight', given.weight, undefined, layers.context);
    const bias = readVector(where, 'bias', given.bias, weight?.shape[0], layers.context);
    this.#kind = kind;
    this.#epsilon = given.epsilon ?? epsilon;
    this.#offset = weight ? (given.offset ?? 0) : 0;
    this.#width = weight?.shape[0] ?? bias?.shape[0];
    this.#weight = this.copy(where, given.weight);
    this.#bias = this.copy(where, given.bias);
  }

  /**
   * @param x f32 [..., n]: rows at one distance, or [..., H, n] with H parts of a row at another, such as the heads of a fused projection
   * @returns f32 of the same shape
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   */
  async run(x: Tensor, options: NormRunOptions = {}): Promise<Tensor> {
    const checked = readRecord<NormRunOptions>('run', options, RUN_READERS);
    return runLayer(this.layers, this.#call('run', x, checked), checked);
  }

  /** `run` before returning. @throws as `run` */
  runSync(x: Tensor, options: Omit<NormRunOptions, 'signal'> = {}): Tensor {
    const checked = readRecord<NormRunOptions>('runSync', options, RUN_READERS);
    forbidSignal('runSync', checked);
    return runLayerSync(this.layers, this.#call('runSync', x, checked));
  }

  #call(where: string, x: Tensor, options: NormRunOptions): LayerCall {
    this.alive();
    const { context } = this.layers;
    const input = readRows(where, 'x', x, this.#width, context);
    const { shape } = input;
    const width = shape.at(-1) as number;
    const same = (name: string, value: unknown): Tensor | undefined => {
      const tensor = value === undefined ? undefined : readRows(where, name, value, width, context);
      if (tensor && shapeText(tensor.shape) !== shapeText(shape)) {
        throw wrongValue(where, name, `shape ${shapeText(shape)}`, shapeText(tensor.shape));
      }
      return tensor;
    };
    const residual = same('residual', options.residual);
    const sum = same('sum', options.sum);
    const out = same('out', options.out);
    if (sum && !residual) throw new TypeError(`${where}: "sum" needs a "residual"`);
    const split = !residual && shape.length > 2 && [input, out].some((tensor) => tensor && !isEven(tensor));
    const rowsOf = (name: string, tensor: Tensor) => partRows(where, name, tensor, split);
    const { rows, stride, heads, head } = rowsOf('x', input);
    const added = residual && rowsOf('residual', residual);
    const total = sum && rowsOf('sum', sum);
    const written = out && rowsOf('out', out);
    const reads: Read[] = [['x', input]];
    if (residual) reads.push(['residual', residual]);
    if (sum) {
      expectApart(where, 'sum', sum, reads, residual && [input, residual]);
      reads.push(['sum', sum]);
    }
    if (out) expectApart(where, 'out', out, reads, sum && sameElements(sum, input) ? [] : [input]);
    return callOf(this.layers, { where, shape }, out, (scope, target) => {
      if (!rows) return [];
      const parts = { kind: this.#kind, width, heads, epsilon: this.#epsilon, offset: this.#offset };
      const stage = new NormStage(context, scope, { ...parts, weight: this.#weight?.pointer ?? 0, bias: this.#bias?.pointer ?? 0 });
      this.pinAll(scope);
      for (const tensor of [input, residual, sum]) if (tensor) scope.defer(tensor.pin());
      const to = written ?? rowsOf('out', target);
      return [
        stage.stage({
          rows,
          x: input.pointer,
          xRow: stride,
          xHead: head,
          out: target.pointer,
          outRow: to.stride,
          outHead: to.head,
          residual: residual?.pointer ?? 0,
          residualRow: added?.stride ?? 0,
          sum: sum?.pointer ?? 0,
          sumRow: total?.stride ?? 0,
          outputs: sum ? [target, sum] : [target],
        }),
      ];
    });
  }
}
