// Layers of attention within windows. Cells of windows are gathered and put back by their numbers, so that rolling, padding and cutting into
// windows cost one pass each way. Rows of x and z are one stride apart at every stage, and the row behind the last is 0: what padding is.

import type { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import type { LinearStage } from '../nn/linear-stage.ts';
import { EmbedStage, type MapStage, type NormStage } from '../nn/row-stages.ts';
import { KIT } from '../prepared/kit.ts';
import type { Program } from '../prepared/program.ts';
import { Repeat } from '../prepared/repeat.ts';
import type { Stage } from '../threads/types.ts';
import { column, makeLinear, makeMap, makeNorm, mapped, normed, type PackedNorm, type Rows, through } from './rows.ts';
import type { Schemes } from './schemes.ts';
import { cellsOf, cornerOrder, roomOf, type VisionBlueprint, type WindowLayer, type WindowStage, windowOrder } from './vision.ts';
import type { PackedStage, PackedWindowLayer } from './vision-declared.ts';

/** Memory of a run: x and z have rows of one stride, the others are as the stage needs them. */
export interface Room {
  readonly x: Rows;
  readonly z: Rows;
  /** Windows of rows, projections of them, what attention gives, inner rows of an MLP or four cells side by side. */
  readonly w: Tensor;
  readonly qkv: Tensor;
  readonly at: Tensor;
  readonly f: Tensor;
  /** The row of zeros behind the others. */
  readonly zero: number;
}

export const side = (tensor: Tensor, width: number): Rows => ({ at: tensor.pointer, stride: 4 * width });

export class WindowProgram {
  readonly #layers: LayerContext;
  readonly #room: Room;
  readonly #cells: number;
  readonly #places: number;
  readonly #width: number;
  readonly #inner: number;
  readonly #norms: Readonly<Record<'before' | 'after' | 'mlpBefore' | 'mlpAfter', NormStage | undefined>>;
  readonly #gather: EmbedStage;
  readonly #order: number;
  readonly #input: LinearStage;
  readonly #attention: Program;
  readonly #output: LinearStage;
  readonly #back: EmbedStage;
  readonly #inverse: number;
  readonly #up: LinearStage;
  readonly #down: LinearStage;
  readonly #add: MapStage;
  readonly #addMlp: MapStage;

  constructor(
    layers: LayerContext,
    scope: Scope,
    where: string,
    packed: PackedWindowLayer,
    stage: WindowStage,
    room: Room,
    schemes: Schemes,
  ) {
    const { given, input, output, up, down, norms } = packed;
    const { grid, width } = stage;
    const { context } = layers;
    this.#layers = layers;
    this.#room = room;
    this.#cells = cellsOf(grid);
    this.#width = width;
    this.#inner = up.panels.outputs;
    const of = (norm: PackedNorm | undefined): NormStage | undefined => norm && makeNorm(layers, scope, norm);
    this.#norms = { before: of(norms.before), after: of(norms.after), mlpBefore: of(norms.mlpBefore), mlpAfter: of(norms.mlpAfter) };
    const order = windowOrder(grid, given);
    this.#places = order.length;
    this.#order = scope.upload(order.map((cell) => (cell < 0 ? room.zero : cell)));
    const inverse = new Int32Array(this.#cells);
    for (const [place, cell] of order.entries()) if (cell >= 0) inverse[cell] = place;
    this.#inverse = scope.upload(inverse);
    const from = norms.before ? room.z : room.x;
    this.#gather = new EmbedStage(context, scope, { width, tables: [{ pointer: from.at, type: 'f32', row: from.stride }] });
    const windows = { pointer: room.w.pointer, type: 'f32' as const, row: 4 * width };
    const stream = { pointer: room.x.at, type: 'f32' as const, row: room.x.stride };
    this.#back = new EmbedStage(context, scope, { width, tables: norms.after ? [windows] : [stream, windows] });
    this.#input = makeLinear(layers, scope, input);
    this.#output = makeLinear(layers, scope, output);
    this.#up = makeLinear(layers, scope, up, given.layer.mlp.activation);
    this.#down = makeLinear(layers, scope, down);
    this.#add = makeMap(layers, scope, width, { with: 'add' });
    this.#addMlp = makeMap(layers, scope, width, { with: 'add' });
    this.#attention = this.#attend(scope, where, given, schemes);
  }

  /** Attention within every window, prepared once. */
  #attend(scope: Scope, where: string, { layer, window }: WindowLayer, schemes: Schemes): Program {
    const { attention } = layer;
    const { heads: H, headWidth: D } = attention;
    const [L, B, n] = [window * window, this.#places / (window * window), 3 * this.#width];
    const view = (part: number): Tensor => scope.own(this.#room.qkv.restride([B, L, H, D], [L * n, n, D, 1], part * this.#width));
    const [q, k, v] = [view(0), view(1), view(2)];
    const out = scope.own(this.#room.at.restride([B, L, H, D], [L * this.#width, this.#width, D, 1]));
    const encodings = attention.positions.map((position) => schemes.encoding(position));
    const given = schemes.options(where, attention, encodings, { out, layout: 'blhd' });
    const made = new Repeat(where, { kit: KIT, context: this.#layers.context, operands: { q, k, v }, given }, false);
    scope.defer(() => made.release());
    return made;
  }

  stages(where: string, begun: Program[]): Stage[] {
    const { x, z, w, qkv, at, f } = this.#room;
    const { before, after, mlpBefore, mlpAfter } = this.#norms;
    const [cells, places, width] = [this.#cells, this.#places, this.#width];
    const rows = side(w, width);
    const inner = side(f, this.#inner);
    const { stages } = this.#attention.begin(where);
    begun.push(this.#attention);
    return [
      ...(before ? [normed(before, cells, x, z)] : []),
      this.#gather.stage({ rows: places, out: rows.at, outRow: rows.stride, ids: [this.#order] }),
      through(this.#input, places, rows, side(qkv, 3 * width)),
      ...stages,
      through(this.#output, places, side(at, width), rows),
      ...(after
        ? [
            this.#back.stage({ rows: cells, out: z.at, outRow: z.stride, ids: [this.#inverse] }),
            normed(after, cells, z, z),
            mapped(this.#add, cells, z, x, x),
          ]
        : [this.#back.stage({ rows: cells, out: x.at, outRow: x.stride, ids: [{ first: 0 }, this.#inverse] })]),
      ...(mlpBefore ? [normed(mlpBefore, cells, x, z)] : []),
      through(this.#up, cells, mlpBefore ? z : x, inner),
      ...(mlpAfter
        ? [through(this.#down, cells, inner, z), normed(mlpAfter, cells, z, z), mapped(this.#addMlp, cells, z, x, x)]
        : [through(this.#down, cells, inner, x, x)]),
    ];
  }
}

/** Four cells become a row of the next grid. */
export class MergeProgram {
  readonly #room: Room;
  readonly #rows: number;
  readonly #width: number;
  readonly #corners: readonly { readonly stage: EmbedStage; readonly ids: number }[];
  readonly #before: NormStage | undefined;
  readonly #linear: LinearStage;
  readonly #after: NormStage | undefined;

  constructor(layers: LayerContext, scope: Scope, packed: NonNullable<PackedStage['merging']>, { grid, width }: WindowStage, room: Room) {
    this.#room = room;
    this.#width = width;
    const table = { pointer: room.x.at, type: 'f32' as const, row: room.x.stride };
    const orders = [0, 1, 2, 3].map((corner) => cornerOrder(grid, corner & 1, corner >> 1));
    this.#rows = orders[0]?.length as number;
    this.#corners = orders.map((order) => ({
      stage: new EmbedStage(layers.context, scope, { width, tables: [table] }),
      ids: scope.upload(order.map((cell) => (cell < 0 ? room.zero : cell))),
    }));
    this.#before = packed.before && makeNorm(layers, scope, packed.before);
    this.#after = packed.after && makeNorm(layers, scope, packed.after);
    this.#linear = makeLinear(layers, scope, packed.linear);
  }

  stages(): Stage[] {
    const { x, f } = this.#room;
    const rows = this.#rows;
    const four = side(f, 4 * this.#width);
    return [
      ...this.#corners.map(({ stage, ids }, corner) => {
        const { at, stride } = column(four, corner * this.#width);
        return stage.stage({ rows, out: at, outRow: stride, ids: [ids] });
      }),
      ...(this.#before ? [normed(this.#before, rows, four, four)] : []),
      through(this.#linear, rows, four, x),
      ...(this.#after ? [normed(this.#after, rows, x, x)] : []),
    ];
  }
}

/** Memory for the largest stage. */
export function roomFor({ context }: LayerContext, scope: Scope, where: string, blueprint: VisionBlueprint): Room {
  const { x, w, qkv, at, f } = roomOf(blueprint);
  const tensor = (numbers: number): Tensor => scope.own(makeTensor(context, where, [numbers]));
  const stride = 4 * Math.max(...blueprint.stages.map(({ width }) => width));
  const rows = (): Rows => ({ at: tensor(x).pointer, stride });
  const zero = (4 * x) / stride - 1;
  return { x: rows(), z: rows(), w: tensor(w), qkv: tensor(qkv), at: tensor(at), f: tensor(f), zero };
}
