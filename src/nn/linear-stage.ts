// A linear layer as a stage of a job: its parameter block, which is written once, and what of it is new in each call.

import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import { layOut } from '../memory/scratch.ts';
import type { Context } from '../plan/context.ts';
import { threadsFor } from '../plan/work.ts';
import type { Output, Stage } from '../threads/types.ts';
import * as field from '../wasm/generated/layers.ts';
import { type Activation, activationCode } from './activations.ts';
import { type Panels, paddedInputs, panelCount, type WeightType, weightCode } from './weights.ts';

/** What a linear layer does besides its products. */
export interface LinearParts {
  /** f32, as many as the panels have channels and in their order, 0 beyond the end; 0: none. */
  readonly bias?: number;
  readonly activation?: Activation | undefined;
  /** Products and sums of f32 are fused where the host does that: for engines of precision `'relaxed'`. */
  readonly fused?: boolean;
}

/** Rows in memory: f32, side by side in a row. Strides are in bytes. */
export interface LinearRows {
  readonly rows: number;
  readonly x: number;
  readonly xRow: number;
  readonly out: number;
  readonly outRow: number;
  /** Added at the end; may be `out` itself. 0: none. */
  readonly residual?: number;
  readonly residualRow?: number;
  /** What the stage writes that outlives a failed call. */
  readonly outputs?: readonly Output[];
}

/** Products in a microsecond of one thread, by type: of one row, and of many. Of no bit's concern. */
const RATES: Readonly<Record<WeightType, readonly [one: number, many: number]>> = {
  f32: [4000, 20000],
  f16: [4000, 20000],
  bf16: [6000, 20000],
  i8: [12000, 50000],
  i4: [12000, 40000],
};
/** Microseconds of a tile: little enough that threads end together, much enough that its rows are not brought in order for little. */
const TILE_US = 500;
/** Of the caller's thread alone, which looks at its event loop every 8 milliseconds. */
const ALONE_US = 2000;
const LEAST_TILE_US = 50;
/**
 * In a job of many stages threads are there anyway, so that smaller tiles pay: tokens on two threads take 0.85 of the time that tiles of 50 µs take.
 * One tile a thread, not two, made no difference.
 */
const LEAST_CUT_US = 10;
/** Rows of a tile: they share a panel while it is in the first cache … */
const MOST_ROWS = 64;
/** … of fewer than these, four rows by themselves, a panel takes up to 1.3 times as long … */
const FEWEST_ROWS = 8;
/** … and rows are read again for each panel, from the second cache. */
const ROWS_BYTES = 1024 * 1024;

/**
 * Nanoseconds that a tile takes besides its products, by type: for a number of its rows, which are brought in order, and for one of its panels,
 * which are widened. Measured at 16 to 128 rows; of i8 without the relaxed dot, a number of a panel takes 0.035.
 */
const BESIDES: Readonly<Record<WeightType, readonly [row: number, panel: number]>> = {
  f32: [0.1, 0.01],
  f16: [0.05, 0.045],
  bf16: [0.05, 0.045],
  i8: [0.26, 0.01],
  i4: [0.5, 0.03],
};

interface Tiling {
  /** Rows, and panels of y. */
  readonly rows: number;
  readonly panels: number;
  readonly tiles: number;
  readonly work: number;
}

/**
 * How rows are cut into tiles, as many as threads or time ask for: into blocks, each of which takes the panels anew, and these by panels, for each
 * slice of which rows are brought in order anew. Of the ways to do so the one whose last thread ends first.
 */
function tilingOf({ type, inputs, outputs, gated }: Panels, M: number, threads: number): Tiling {
  // A text without tokens has no rows.
  if (M === 0) return { rows: 0, panels: 0, tiles: 0, work: 0 };
  const most = Math.max(8, Math.min(MOST_ROWS, Math.floor(ROWS_BYTES / (4 * inputs)) & ~3));
  const all = Math.ceil(outputs / field.PANEL);
  const [one, many] = RATES[type];
  const [row, panel] = BESIDES[type];
  const work = (M * outputs * inputs * (gated ? 2 : 1)) / (M < 4 ? one : many);
  // Two tiles a thread at least, unless they become too small.
  const alone = threads === 1;
  const least = Math.min(alone ? 1 : 2 * threads, Math.floor(work / LEAST_CUT_US));
  const wanted = Math.max(Math.ceil(work / (alone ? ALONE_US : TILE_US)), least, 1);
  let best: Tiling | undefined;
  let shortest = Infinity;
  for (let blocks = Math.ceil(M / most); ; blocks *= 2) {
    const rows = M === 1 ? 1 : Math.min(M, roundUp(Math.ceil(M / blocks), 4));
    const down = Math.ceil(M / rows);
    const slices = Math.min(all, Math.ceil(wanted / down));
    // By two: their channels fill a line of the cache.
    const panels = Math.min(all, roundUp(Math.ceil(all / slices), 2));
    const tiles = down * Math.ceil(all / panels);
    const besides = inputs * (rows * row + field.PANEL * panels * panel);
    const time = Math.ceil(tiles / threads) * ((work * rows * panels) / (M * all) + besides / 1000);
    if (time < shortest) {
      shortest = time;
      best = { rows, panels, tiles, work };
    }
    if (rows <= FEWEST_ROWS) return best as Tiling;
  }
}

/** Offsets of one thread's scratch for tiles of so many rows. */
function scratchOf({ type, inputs, gated }: Panels, rows: number): { fields: [number, number][]; bytes: number } {
  const padded = paddedInputs(type, inputs);
  const whole = roundUp(rows, 4);
  const integers = type === 'i8' || type === 'i4';
  const narrow = type !== 'f32';
  // One row of floats is read where it lies. Integers are shorts where there is no relaxed dot.
  const line = integers ? 2 * padded : 4 * padded;
  const sizes: [number, number][] = [
    [field.LINEAR_S_ROWS, rows === 1 ? (integers ? line : 0) : whole * line],
    [field.LINEAR_S_SCALES, integers ? 4 * whole : 0],
    [field.LINEAR_S_BLOCKS, integers ? 4 * whole * (type === 'i4' ? padded / field.BLOCK : 1) : 0],
    [field.LINEAR_S_SUMS, 4 * field.PANEL * whole * (gated ? 2 : 1)],
    [field.LINEAR_S_PANEL, rows > 1 && narrow ? field.PANEL * padded * (integers ? 2 : 4) : 0],
  ];
  const { at, bytes } = layOut(sizes.map(([, size]) => size));
  return { fields: sizes.map(([name], n) => [name, at[n] as number]), bytes };
}

/** A linear layer's place in a job. Its block belongs to the scope; one that occurs twice in a job with different rows has two. */
export class LinearStage {
  readonly #context: Context;
  readonly #scope: Scope;
  readonly #weights: Panels;
  readonly #block: number;
  /** Rows and threads that the tiling in the block is for. */
  #tiling: (Tiling & { readonly M: number; readonly for: number; readonly scratch: number }) | undefined;

  constructor(context: Context, scope: Scope, weights: Panels, { bias = 0, activation, fused = false }: LinearParts = {}) {
    this.#context = context;
    this.#scope = scope;
    this.#weights = weights;
    this.#block = scope.block(field.LINEAR_SIZE);
    scope
      .writer(this.#block)
      .int(field.LINEAR_N, weights.outputs)
      .int(field.LINEAR_K, weights.inputs)
      .int(field.LINEAR_WEIGHTS, weights.pointer)
      .int(field.LINEAR_TYPE, weightCode(weights.type))
      .int(field.LINEAR_BIAS, bias)
      .int(field.LINEAR_ACTIVATION, activationCode(activation))
      .int(field.LINEAR_GATED, weights.gated ? 1 : 0)
      .int(field.LINEAR_FUSED, fused ? 1 : 0);
  }

  /** The stage for these rows: from here until the job has run the block is its own. */
  stage({ rows, x, xRow, out, outRow, residual = 0, residualRow = 0, outputs }: LinearRows): Stage {
    const { threads } = this.#context;
    const writer = this.#scope.writer(this.#block);
    let tiling = this.#tiling;
    if (!tiling || tiling.M !== rows || tiling.for !== threads) {
      const found = tilingOf(this.#weights, rows, threads);
      const { fields, bytes } = scratchOf(this.#weights, found.rows);
      tiling = { ...found, M: rows, for: threads, scratch: bytes };
      this.#tiling = tiling;
      writer.int(field.LINEAR_M, rows).int(field.LINEAR_ROWS, found.rows).int(field.LINEAR_PANELS, found.panels);
      for (const [name, at] of fields) writer.int(name, at);
    }
    writer
      .int(field.LINEAR_X, x)
      .int(field.LINEAR_X_ROW, xRow)
      .int(field.LINEAR_OUT, out)
      .int(field.LINEAR_OUT_ROW, outRow)
      .int(field.LINEAR_RESIDUAL, residual)
      .int(field.LINEAR_RESIDUAL_ROW, residualRow);
    const { tiles, scratch, work } = tiling;
    const share = threadsFor(work, LEAST_TILE_US, tiles, threads);
    return { kernel: 'linear', job: this.#block, tiles, scratch, threads: share, ...(outputs && { outputs }) };
  }
}

/** Channels of a bias in the order of the panels, with zeros beyond the end. */
export const biasChannels = (weights: Pick<Panels, 'outputs' | 'gated'>): number => field.PANEL * panelCount(weights);
