// What stands on the rows of a stack: logits over the vocabulary or over labels, poolers.

import type { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import type { LinearStage } from '../nn/linear-stage.ts';
import type { MapStage, NormStage } from '../nn/row-stages.ts';
import type { Stage } from '../threads/types.ts';
import type { LogitsHead } from './blueprint.ts';
import type { PackedDense } from './packed-stack.ts';
import type { PackedLinear } from './packing.ts';
import { makeLinear, makeMap, makeNorm, mapped, normed, type Rows, through } from './rows.ts';
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
    scope.defer(() => this.#drop());
  }

  #drop(): void {
    for (const tensor of this.#tensors) tensor.dispose();
    this.#tensors = [];
  }

  /** The stages, and the tensor that has the result, which is this program's own until its next run. */
  stages(rows: number, x: Rows): { readonly stages: readonly Stage[]; readonly out: Tensor } {
    if (this.#tensors[0]?.shape[0] !== rows) {
      this.#drop();
      this.#tensors = this.#steps.map(({ width }) => makeTensor(this.#layers.context, this.#where, [rows, width]));
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

/** Logits over the vocabulary. */
export class LogitsProgram {
  readonly #dense: StepsProgram | undefined;
  readonly #output: StepsProgram;
  readonly #map: MapStage | undefined;

  constructor(layers: LayerContext, scope: Scope, where: string, head: LogitsHead, dense: PackedDense | undefined, output: PackedLinear) {
    const { scale = 1, softcap } = head;
    this.#dense = dense && new StepsProgram(layers, scope, where, [dense]);
    this.#output = new StepsProgram(layers, scope, where, [{ dense: { linear: head.output }, linear: output, norm: undefined }]);
    const { outputs } = output.panels;
    if (softcap !== undefined) {
      this.#map = makeMap(layers, scope, outputs, { activation: 'tanh', factor: softcap, divisor: softcap / scale });
    } else if (scale !== 1) this.#map = makeMap(layers, scope, outputs, { factor: scale });
  }

  stages(rows: number, x: Rows): { readonly stages: readonly Stage[]; readonly out: Tensor } {
    const dense = this.#dense?.stages(rows, x);
    const from = dense ? { at: dense.out.pointer, stride: 4 * (dense.out.shape[1] as number) } : x;
    const { stages, out } = this.#output.stages(rows, from);
    const at = { at: out.pointer, stride: 4 * (out.shape[1] as number) };
    return { stages: [...(dense?.stages ?? []), ...stages, ...(this.#map ? [mapped(this.#map, rows, at, at)] : [])], out };
  }
}
