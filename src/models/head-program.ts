// What stands on the rows of a stack: logits over the vocabulary or over labels, poolers.

import type { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import type { LinearStage } from '../nn/linear-stage.ts';
import type { MapStage, NormStage } from '../nn/row-stages.ts';
import { SoftmaxStage } from '../nn/score-stages.ts';
import { panelBytes, panelCount } from '../nn/weights.ts';
import type { Stage } from '../threads/types.ts';
import type { LogitsHead } from './blueprint.ts';
import type { PackedDense } from './packed-stack.ts';
import type { PackedLinear } from './packing.ts';
import { column, makeLinear, makeMap, makeNorm, mapped, normed, type Rows, through } from './rows.ts';
import { writing } from './workspace.ts';

/** One dense step from rows to rows. */
class DenseProgram {
  readonly #linear: LinearStage;
  readonly #norm: NormStage | undefined;
  readonly width: number;

  constructor(layers: LayerContext, scope: Scope, { dense, linear, norm }: PackedDense) {
    this.#linear = makeLinear(layers, scope, linear, dense.activation);
    this.#norm = norm && makeNorm(layers, scope, norm);
    this.width = linear.panels.outputs;
  }

  stages(rows: number, x: Rows, out: Rows): Stage[] {
    return [through(this.#linear, rows, x, out), ...(this.#norm ? [normed(this.#norm, rows, out, out)] : [])];
  }
}

/** Dense steps one after another, each with rows of its own. */
export class StepsProgram {
  readonly #layers: LayerContext;
  readonly #steps: readonly DenseProgram[];
  readonly #where: string;
  #tensors: readonly Tensor[] = [];

  constructor(layers: LayerContext, scope: Scope, where: string, steps: readonly PackedDense[]) {
    this.#layers = layers;
    this.#where = where;
    this.#steps = steps.map((step) => new DenseProgram(layers, scope, step));
    scope.defer(() => this.drop());
  }

  /** Numbers of a row of the result. */
  get width(): number {
    return this.#steps.at(-1)?.width as number;
  }

  /** Gives the result's memory back, until the next run. */
  drop(): void {
    for (const tensor of this.#tensors) tensor.dispose();
    this.#tensors = [];
  }

  /** The stages, and the tensor that has the result, which is this program's own until its next run. */
  stages(rows: number, x: Rows): { readonly stages: readonly Stage[]; readonly out: Tensor } {
    if (this.#tensors[0]?.shape[0] !== rows) {
      this.drop();
      const made: Tensor[] = [];
      try {
        for (const { width } of this.#steps) made.push(makeTensor(this.#layers.context, this.#where, [rows, width]));
      } catch (error) {
        for (const tensor of made) tensor.dispose();
        throw error;
      }
      this.#tensors = made;
    }
    let from = x;
    const stages = this.#steps.flatMap((step, n) => {
      const { pointer } = this.#tensors[n] as Tensor;
      const out = { at: pointer, stride: 4 * step.width };
      const made = step.stages(rows, from, out);
      from = out;
      return made;
    });
    return { stages: writing(stages, this.#tensors), out: this.#tensors.at(-1) as Tensor };
  }
}

/** A cluster of rare tokens in memory. */
export interface PackedRare {
  readonly dense: PackedDense;
  readonly output: PackedLinear;
}

/** Logarithms of the probabilities of a cluster's tokens, and that of the cluster itself added to each. */
class RareProgram {
  readonly #steps: StepsProgram;
  readonly #softmax: SoftmaxStage;
  /** Brings one number to all channels. */
  readonly #spread: LinearStage;
  readonly size: number;

  constructor(layers: LayerContext, scope: Scope, where: string, { dense, output }: PackedRare) {
    const { outputs } = output.panels;
    const last = { dense: { linear: { weight: { shape: [outputs, output.panels.inputs], parts: [] } } }, linear: output, norm: undefined };
    this.#steps = new StepsProgram(layers, scope, where, [dense, last]);
    this.#softmax = new SoftmaxStage(layers.context, scope, { width: outputs, log: true });
    this.size = outputs;
    const shape = { type: 'f32', outputs, inputs: 1, gated: false } as const;
    const numbers = (panelCount(shape) * panelBytes('f32', 1)) / 4;
    const ones = { ...shape, pointer: scope.upload(new Float32Array(numbers).fill(1)) };
    this.#spread = makeLinear(layers, scope, { panels: ones, bias: undefined });
  }

  drop(): void {
    this.#steps.drop();
  }

  /** out ← logarithms of these rows' tokens; `cluster` has the logarithm of the cluster in every row. */
  stages(rows: number, x: Rows, cluster: Rows, out: Rows): Stage[] {
    const made = this.#steps.stages(rows, x);
    const own = { at: made.out.pointer, stride: 4 * this.size };
    return [
      ...made.stages,
      this.#softmax.stage({ rows, x: own.at, xRow: own.stride, out: own.at, outRow: own.stride }),
      through(this.#spread, rows, cluster, out, own),
    ];
  }
}

/** A head in memory. */
export interface PackedLogits {
  readonly head: LogitsHead;
  readonly dense: PackedDense | undefined;
  readonly output: PackedLinear;
  readonly rare: readonly PackedRare[];
}

/** Logits over the vocabulary. */
export class LogitsProgram {
  readonly #layers: LayerContext;
  readonly #where: string;
  readonly #dense: StepsProgram | undefined;
  readonly #output: StepsProgram;
  readonly #map: MapStage | undefined;
  readonly #softmax: SoftmaxStage | undefined;
  readonly #rare: readonly RareProgram[];
  /** Tokens of the first cluster, and where all logits are put together. */
  readonly #common: number;
  readonly #copy: MapStage | undefined;
  #all: Tensor | undefined;

  constructor(layers: LayerContext, scope: Scope, where: string, { head, dense, output, rare }: PackedLogits) {
    const { scale = 1, softcap } = head;
    this.#layers = layers;
    this.#where = where;
    this.#dense = dense && new StepsProgram(layers, scope, where, [dense]);
    this.#output = new StepsProgram(layers, scope, where, [{ dense: { linear: head.output }, linear: output, norm: undefined }]);
    const { outputs } = output.panels;
    if (softcap !== undefined) {
      this.#map = makeMap(layers, scope, outputs, { activation: 'tanh', factor: softcap, divisor: softcap / scale });
    } else if (scale !== 1) this.#map = makeMap(layers, scope, outputs, { factor: scale });
    this.#softmax = head.logarithm ? new SoftmaxStage(layers.context, scope, { width: outputs, log: true }) : undefined;
    this.#rare = rare.map((one) => new RareProgram(layers, scope, where, one));
    this.#common = outputs - rare.length;
    this.#copy = rare.length ? makeMap(layers, scope, this.#common, {}) : undefined;
    scope.defer(() => this.#all?.dispose());
  }

  /** Gives the logits' memory back, until the next run. */
  drop(): void {
    for (const steps of [this.#dense, this.#output, ...this.#rare]) steps?.drop();
    this.#all?.dispose();
    this.#all = undefined;
  }

  stages(rows: number, x: Rows): { readonly stages: readonly Stage[]; readonly out: Tensor } {
    const dense = this.#dense?.stages(rows, x);
    const from = dense ? { at: dense.out.pointer, stride: 4 * (dense.out.shape[1] as number) } : x;
    const { stages, out } = this.#output.stages(rows, from);
    const at = { at: out.pointer, stride: 4 * (out.shape[1] as number) };
    const made = [
      ...(dense?.stages ?? []),
      ...stages,
      ...(this.#map ? [mapped(this.#map, rows, at, at)] : []),
      ...(this.#softmax ? [this.#softmax.stage({ rows, x: at.at, xRow: at.stride, out: at.at, outRow: at.stride })] : []),
    ];
    return this.#copy ? this.#together(rows, x, at, made, this.#copy) : { stages: made, out };
  }

  /** The first cluster's logarithms, and behind them those of the others. */
  #together(rows: number, x: Rows, first: Rows, before: readonly Stage[], copy: MapStage): { stages: readonly Stage[]; out: Tensor } {
    const width = this.#rare.reduce((sum, { size }) => sum + size, this.#common);
    if (this.#all?.shape[0] !== rows) {
      this.#all?.dispose();
      this.#all = undefined;
      this.#all = makeTensor(this.#layers.context, this.#where, [rows, width]);
    }
    const out = this.#all as Tensor;
    const all = { at: out.pointer, stride: 4 * width };
    let next = this.#common;
    const rare = this.#rare.flatMap((cluster, n) => {
      const made = cluster.stages(rows, x, column(first, this.#common + n), column(all, next));
      next += cluster.size;
      return made;
    });
    return { stages: writing([...before, mapped(copy, rows, first, all), ...rare], [out]), out };
  }
}
