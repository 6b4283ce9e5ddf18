// Linear layers of several matrices beside one another, over the same x: queries, keys and values of one product.

import { shapeText, wrongValue } from '../arguments/check.ts';
import { DTYPES, type FloatDType } from '../memory/dtypes.ts';
import { type Operand, placeOperand } from '../memory/operands.ts';
import { roundUp } from '../memory/round.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import { jobOf } from '../threads/job.ts';
import * as field from '../wasm/generated/layers.ts';
import type { LayerContext } from './context.ts';
import { LinearStage } from './linear-stage.ts';
import { type Panels, packStage, panelBytes, panelCount, type WeightType } from './weights.ts';

/** A matrix [outputs, inputs] and what is added to its products. */
export interface Matrix {
  readonly weight: Operand;
  /** [outputs]. */
  readonly bias?: Operand | undefined;
  /** Its first channel begins a panel, so that a stage can begin there. */
  readonly apart?: boolean;
}

/** Panels of several matrices, whose channels follow one another; zeros fill what is left of a panel before one that is apart. */
export class Projection {
  readonly inputs: number;
  /** Channels in all, and where each matrix begins. */
  readonly outputs: number;
  readonly starts: readonly number[];
  readonly #layers: LayerContext;
  readonly #panels: Tensor;
  readonly #bias: Tensor | undefined;
  readonly #type: WeightType;

  /** @throws RelposError `out-of-memory`, having given back what it took */
  constructor(where: string, layers: LayerContext, matrices: readonly Matrix[], type: WeightType) {
    const { context } = layers;
    const [first] = matrices as [Matrix, ...Matrix[]];
    this.#layers = layers;
    this.#type = type;
    this.inputs = first.weight.shape[1] as number;
    let outputs = 0;
    this.starts = matrices.map(({ weight, apart = false }) => {
      const start = apart ? roundUp(outputs, field.PANEL) : outputs;
      outputs = start + (weight.shape[0] as number);
      return start;
    });
    this.outputs = outputs;
    const scope = new Scope(context.arena);
    try {
      this.#bias = this.#biasOf(where, matrices, scope);
      this.#panels = makeTensor(context, where, [panelCount(this.#shape()), panelBytes(type, this.inputs)], undefined, 'i8');
    } catch (error) {
      this.#bias?.dispose();
      scope.release();
      throw error;
    }
    try {
      this.#pack(where, matrices, scope);
    } catch (error) {
      this.dispose();
      throw error;
    } finally {
      scope.release();
    }
  }

  /** Biases in the order of the channels, 0 for a matrix without. */
  #biasOf(where: string, matrices: readonly Matrix[], scope: Scope): Tensor | undefined {
    if (matrices.every(({ bias }) => bias === undefined)) return undefined;
    const { context } = this.#layers;
    const all = new Float32Array(roundUp(this.outputs, field.PANEL));
    matrices.forEach(({ bias }, n) => {
      if (bias) all.set(placeOperand(where, bias, context, scope).toArray(), this.starts[n]);
    });
    return makeTensor(context, where, [all.length], all);
  }

  #pack(where: string, matrices: readonly Matrix[], scope: Scope): void {
    const { context, pool } = this.#layers;
    const panels = { ...this.#shape(), pointer: this.#panels.pointer };
    const stages = matrices.map(({ weight }, n) => {
      const { pointer, dtype, strides, shape } = placeOperand(where, weight, context, scope);
      const { bytes } = DTYPES[dtype];
      const [row, column] = strides.map((stride) => stride * bytes) as [number, number];
      const rows = { pointer, dtype: dtype as FloatDType, row, column, first: this.starts[n] as number, count: shape[0] as number };
      return packStage(scope, panels, rows, context.threads);
    });
    pool.runSync(jobOf(stages));
  }

  #shape(): Omit<Panels, 'pointer'> {
    return { type: this.#type, outputs: this.outputs, inputs: this.inputs, gated: false };
  }

  get bytes(): number {
    return panelCount(this.#shape()) * panelBytes(this.#type, this.inputs);
  }

  /** A stage of the channels from one that begins a panel on: all of them, or `count`. What it reads is kept until the scope is released. */
  stage(scope: Scope, from = 0, count: number = this.outputs - from): LinearStage {
    const { context, fused } = this.#layers;
    const pointer = this.#panels.pointer + (from / field.PANEL) * panelBytes(this.#type, this.inputs);
    const bias = this.#bias ? this.#bias.pointer + 4 * from : 0;
    for (const tensor of [this.#panels, this.#bias]) if (tensor) scope.defer(tensor.pin());
    return new LinearStage(context, scope, { ...this.#shape(), outputs: count, pointer }, { bias, fused });
  }

  dispose(): void {
    this.#panels.dispose();
    this.#bias?.dispose();
  }
}

/** @throws RangeError unless a bias fits its matrix */
export function checkBias(where: string, name: string, bias: Operand | undefined, outputs: number): void {
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== outputs)) {
    throw wrongValue(where, name, `shape ${shapeText([outputs])}`, shapeText(bias.shape));
  }
}
