// What layers beside the linear one share: numbers that they keep, tensors that they read, and how they run and end.

import { checkSignal, shapeText, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import type { Reader } from '../arguments/record.ts';
import { Disposing } from '../memory/dispose.ts';
import { type Operand, placeOperand, type Read, readOperand } from '../memory/operands.ts';
import { Scope } from '../memory/scope.ts';
import { type MemoryContext, makeTensor, Tensor, type TensorLike } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import type { Stage } from '../threads/types.ts';
import type { LayerCall, LayerContext } from './context.ts';
import { sameElements } from './rows.ts';

/** What other checks look at. */
export const anything: Reader<never> = (_where, _name, value) => value as never;

export const signalReader: Reader<Signal> = (where, name, value) => checkSignal(where, value, name) as Signal;

/** @throws TypeError: a call that returns its result itself cannot be stopped */
export function forbidSignal(where: string, { signal }: { readonly signal?: unknown }): void {
  if (signal !== undefined) throw new TypeError(`${where}: "signal" works with the asynchronous form only`);
}

/** A vector of a layer, [width] or of any length, checked; undefined if it is left out. */
export function readVector(
  where: string,
  name: string,
  value: unknown,
  width: number | undefined,
  context: MemoryContext,
): Operand | undefined {
  if (value === undefined) return undefined;
  const vector = readOperand(where, name, value, context);
  const [length = 0] = vector.shape;
  if (vector.shape.length !== 1 || length < 1 || (width !== undefined && length !== width)) {
    throw wrongValue(where, name, `shape ${shapeText([width ?? 'n ≥ 1'])}`, shapeText(vector.shape));
  }
  return vector;
}

/** A layer that keeps numbers of its own in the engine's memory. */
export abstract class Layer extends Disposing {
  protected readonly layers: LayerContext;
  readonly #held: Tensor[] = [];
  #disposed = false;

  /** @internal */
  constructor(layers: LayerContext) {
    super();
    layers.context.alive();
    this.layers = layers;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Keeps a tensor until the layer ends. */
  protected hold(tensor: Tensor): Tensor {
    this.#held.push(tensor);
    return tensor;
  }

  /** A copy of an operand as f32, side by side. What was kept before goes back if there is no room. */
  protected copy(where: string, operand: TensorLike | undefined): Tensor | undefined {
    if (operand === undefined) return undefined;
    const { context } = this.layers;
    const scope = new Scope(context.arena);
    try {
      const numbers = placeOperand(where, readOperand(where, 'tensor', operand, context), context, scope).toArray();
      return this.hold(makeTensor(context, where, [numbers.length], numbers));
    } catch (error) {
      this.dispose();
      throw error;
    } finally {
      scope.release();
    }
  }

  /** @throws RelposError `disposed` */
  protected alive(): void {
    this.layers.context.alive();
    if (this.#disposed) throw new RelposError('disposed', 'the layer was disposed');
  }

  /** Keeps what the layer holds until the scope is released. */
  protected pinAll(scope: Scope): void {
    for (const tensor of this.#held) scope.defer(tensor.pin());
  }

  /** Gives the memory back once no running call needs it. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const tensor of this.#held) tensor.dispose();
  }
}

/**
 * What a call writes shares memory with nothing that it reads, but for those in `sameAs`, whose elements it may be.
 *
 * @throws RangeError if it does
 */
export function expectApart(where: string, name: string, written: Tensor, reads: readonly Read[], sameAs: readonly Tensor[] = []): void {
  const [low, high] = written.extent;
  for (const [other, tensor] of reads) {
    if (!(tensor instanceof Tensor) || (sameAs.includes(tensor) && sameElements(tensor, written))) continue;
    const [from, to] = tensor.extent;
    if (low < to && from < high) throw wrongValue(where, name, 'memory of its own', `an overlap with "${other}"`);
  }
}

/** A call: a result if none is given, and the stages that `make` sets down. @throws RelposError, having given back what it took */
export function callOf(
  { context }: LayerContext,
  { where, shape }: { readonly where: string; readonly shape: readonly number[] },
  given: Tensor | undefined,
  make: (scope: Scope, out: Tensor) => readonly Stage[],
): LayerCall {
  const scope = new Scope(context.arena);
  let out = given;
  try {
    out ??= makeTensor(context, where, shape);
    const stages = make(scope, out);
    scope.defer(out.pin());
    return { stages, out, fresh: !given, scope };
  } catch (error) {
    scope.release();
    if (!given) out?.dispose();
    throw error;
  }
}

/** @throws TypeError, RangeError unless a tensor of numbers is a matrix of at least one row and column */
export function expectMatrix(where: string, name: string, shape: readonly number[], columns?: number): void {
  const [rows = 0, width = 0] = shape;
  if (shape.length === 2 && rows >= 1 && width >= 1 && (columns === undefined || width === columns)) return;
  throw wrongValue(where, name, `shape ${shapeText(['rows ≥ 1', columns ?? 'width ≥ 1'])}`, shapeText(shape));
}
