// A model of images in an engine's memory: patches of pixels, stages of windows, a norm, and labels from the mean of the rows.

import { wrongType, wrongValue } from '../arguments/check.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import type { LinearStage } from '../nn/linear-stage.ts';
import { type MapStage, type NormStage, PoolStage } from '../nn/row-stages.ts';
import type { Signal } from '../platform/types.ts';
import type { Program } from '../prepared/program.ts';
import { jobOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import { StepsProgram } from './head-program.ts';
import { loadPackings, type PackedSource, type TensorSource } from './packing.ts';
import { positionTables } from './position-tables.ts';
import { makeLinear, makeMap, makeNorm, mapped, normed, type PackedNorm, type Rows, through } from './rows.ts';
import type { RunnerOptions } from './runner.ts';
import { Schemes } from './schemes.ts';
import { cellsOf, type VisionBlueprint, type WindowStage } from './vision.ts';
import { declareVision, type PackedVision } from './vision-declared.ts';
import { MergeProgram, type Room, roomFor, side, WindowProgram } from './window-program.ts';
import { writing } from './workspace.ts';

export class VisionRunner {
  readonly blueprint: VisionBlueprint;
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #where: string;
  readonly #room: Room;
  readonly #patches: LinearStage;
  readonly #norm: NormStage;
  readonly #positions: { readonly rows: Rows; readonly add: MapStage } | undefined;
  readonly #stages: readonly { readonly layers: readonly WindowProgram[]; readonly merging: MergeProgram | undefined }[];
  readonly #lastNorm: NormStage;
  readonly #pool: PoolStage;
  readonly #pooled: Tensor;
  readonly #starts: number;
  readonly #classifier: StepsProgram | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    layers: LayerContext,
    scope: Scope,
    where: string,
    blueprint: VisionBlueprint,
    packed: PackedVision,
    schemes: Schemes,
  ) {
    const room = roomFor(layers, scope, where, blueprint);
    this.blueprint = blueprint;
    this.#layers = layers;
    this.#scope = scope;
    this.#where = where;
    this.#room = room;
    this.#patches = makeLinear(layers, scope, packed.patches);
    this.#norm = makeNorm(layers, scope, packed.norm as PackedNorm);
    const width = blueprint.stages[0]?.width as number;
    this.#positions = packed.positions && {
      rows: { at: packed.positions.pointer, stride: 4 * width },
      add: makeMap(layers, scope, width, { with: 'add' }),
    };
    this.#stages = packed.stages.map(({ stage, layers: each, merging }) => ({
      layers: each.map((layer) => new WindowProgram(layers, scope, where, layer, stage, room, schemes)),
      merging: merging && new MergeProgram(layers, scope, merging, stage, room),
    }));
    this.#lastNorm = makeNorm(layers, scope, packed.lastNorm as PackedNorm);
    this.#pool = new PoolStage(layers.context, scope, { kind: 'mean', width: blueprint.width });
    this.#pooled = scope.own(makeTensor(layers.context, where, [1, blueprint.width]));
    this.#starts = scope.upload(Int32Array.of(0, this.#cells));
    this.#classifier = packed.classifier && new StepsProgram(layers, scope, where, packed.classifier);
  }

  /** Loads a model. @throws RelposError `out-of-memory`, `bad-checkpoint`, and what the source throws; nothing is held then */
  static async load(
    layers: LayerContext,
    blueprint: VisionBlueprint,
    source: TensorSource | PackedSource,
    { where, weights, onProgress }: Omit<RunnerOptions, 'longest' | 'logits'>,
  ): Promise<VisionRunner> {
    const scope = new Scope(layers.context.arena);
    const { packing, scratch, packed, positions } = declareVision(blueprint, weights);
    scope.own(packing);
    try {
      packing.reserve(layers);
      scratch.reserve(layers);
      await loadPackings(where, layers, [packing, scratch], source, onProgress);
      const tables = await positionTables(layers, positions, 0);
      return new VisionRunner(layers, scope, where, blueprint, packed, new Schemes(layers, tables, 0, new Map()));
    } catch (error) {
      scope.release();
      throw error;
    } finally {
      scratch.dispose();
    }
  }

  /** Cells of the last grid. */
  get #cells(): number {
    return cellsOf((this.blueprint.stages.at(-1) as WindowStage).grid);
  }

  /** Rows of the last stage after the last norm, [cells · width]. @param pixels [channels · rows · columns], as the model wants them */
  hidden(pixels: Float32Array, signal?: Signal): Promise<Float32Array> {
    const { width } = this.blueprint;
    return this.#run(pixels, signal, () => ({
      stages: [],
      read: () => {
        const { at, stride } = this.#room.z;
        const all = new Float32Array(this.#layers.context.arena.memory.buffer);
        const out = new Float32Array(this.#cells * width);
        for (let n = 0; n < this.#cells; n++) out.set(all.subarray((at + n * stride) / 4, (at + n * stride) / 4 + width), n * width);
        return out;
      },
    }));
  }

  /** Logits over labels. */
  classify(pixels: Float32Array, signal?: Signal): Promise<Float32Array> {
    const classifier = this.#classifier;
    if (!classifier) throw wrongType(this.#where, 'classification head', 'one in the checkpoint', undefined);
    return this.#run(pixels, signal, () => {
      const to = side(this.#pooled, this.blueprint.width);
      const { at, stride } = this.#room.z;
      const rows = { texts: 1, rows: this.#cells, x: at, xRow: stride, starts: this.#starts, out: to.at, outRow: to.stride };
      const { stages, out } = classifier.stages(1, to);
      return { stages: [this.#pool.stage(rows), ...stages], read: () => out.toArray() };
    });
  }

  #run(
    pixels: Float32Array,
    signal: Signal | undefined,
    end: () => { readonly stages: readonly Stage[]; readonly read: () => Float32Array },
  ): Promise<Float32Array> {
    const { image, channels } = this.blueprint;
    const count = channels * cellsOf(image);
    if (!(pixels instanceof Float32Array)) throw wrongType(this.#where, 'pixels', 'a Float32Array', pixels);
    if (pixels.length !== count) throw wrongValue(this.#where, 'pixels', `[${channels}, ${image.join(', ')}] numbers`, `${pixels.length}`);
    const run = async (): Promise<Float32Array> => {
      const begun: Program[] = [];
      try {
        const stages = this.#stagesOf(pixels, begun);
        const last = end();
        const { w, qkv, at, f } = this.#room;
        await this.#layers.pool.run(jobOf(writing([...stages, ...last.stages], [w, qkv, at, f, this.#pooled])), { signal });
        for (const program of begun.splice(0)) program.commit();
        return last.read();
      } finally {
        for (const program of begun) program.fail();
      }
    };
    const turn = this.#last.then(run, run);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #stagesOf(pixels: Float32Array, begun: Program[]): Stage[] {
    const { x, z, w } = this.#room;
    const { stages, patches } = this.blueprint;
    const [first] = stages as readonly [WindowStage];
    const rows = cellsOf(first.grid);
    const size = patches.weight.shape[1] as number;
    (w.view() as Float32Array).set(this.#patchRows(pixels, size));
    const positions = this.#positions;
    return [
      through(this.#patches, rows, side(w, size), x),
      normed(this.#norm, rows, x, x),
      ...(positions ? [mapped(positions.add, rows, x, x, positions.rows)] : []),
      ...this.#stages.flatMap(({ layers, merging }) => [
        ...layers.flatMap((layer) => layer.stages(this.#where, begun)),
        ...(merging?.stages() ?? []),
      ]),
      normed(this.#lastNorm, this.#cells, x, z),
    ];
  }

  /** A row for each patch: channel by channel, row by row. */
  #patchRows(pixels: Float32Array, size: number): Float32Array {
    const { image, channels, patch } = this.blueprint;
    const [height, width] = image;
    const across = width / patch;
    const rows = new Float32Array((height / patch) * across * size);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const n = Math.floor(y / patch) * across + Math.floor(x / patch);
          rows[n * size + (c * patch + (y % patch)) * patch + (x % patch)] = pixels[(c * height + y) * width + x] as number;
        }
      }
    }
    return rows;
  }

  /** Gives all memory back. */
  dispose(): void {
    this.#scope.release();
  }
}
