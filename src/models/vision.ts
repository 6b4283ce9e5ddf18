// The description of a model of images whose attention is within windows: Swin and Swin v2. As blueprint.ts for texts, and of its parts.

import type { Blueprint, Classifier, Layer, Linear, Norm, Weight } from './blueprint.ts';

/** Rows and columns. */
export type Grid = readonly [rows: number, columns: number];

/** A layer over windows of a grid that is rolled by `shift` cells up and to the left first, and padded at its ends to whole windows. */
export interface WindowLayer {
  readonly layer: Layer;
  readonly window: number;
  readonly shift: number;
}

/** What makes a row of four cells, the right ones behind the left ones: norms before and after a linear layer, where they are. */
export interface Merging {
  readonly before?: Norm;
  readonly linear: Linear;
  readonly after?: Norm;
}

/** Layers on one grid, and how it becomes one of half the rows and columns. */
export interface WindowStage {
  readonly grid: Grid;
  readonly width: number;
  readonly layers: readonly WindowLayer[];
  readonly merging?: Merging;
}

/** A model. */
export interface VisionBlueprint {
  readonly kind: 'images';
  readonly family: string;
  readonly modelType: string;
  /** Rows and columns of the image, in pixels. */
  readonly image: Grid;
  readonly channels: number;
  /** Pixels of a side of a patch. */
  readonly patch: number;
  /** From a patch, [channels · patch · patch] numbers, channel by channel and row by row. */
  readonly patches: Linear;
  readonly norm: Norm;
  /** Added to the patches, one row each. */
  readonly positions?: Weight;
  readonly stages: readonly WindowStage[];
  readonly lastNorm: Norm;
  /** Width of the last stage. */
  readonly width: number;
  /** On the mean of the last stage's rows. */
  readonly classifier?: Classifier;
}

/** A model of texts or of images. */
export type AnyBlueprint = Blueprint | VisionBlueprint;

/** Cells of a grid. */
export const cellsOf = ([rows, columns]: Grid): number => rows * columns;

/** Numbers that a run keeps of an image: rows of the stream, windows of them, projections, results, inner rows. */
export function roomOf({ stages, patches }: VisionBlueprint): Readonly<Record<'x' | 'w' | 'qkv' | 'at' | 'f', number>> {
  const most = (of: (stage: WindowStage) => number): number => Math.max(...stages.map(of));
  const places = (stage: WindowStage): number =>
    Math.max(cellsOf(stage.grid), ...stage.layers.map(({ window }) => cellsOf(paddedGrid(stage.grid, window))));
  const inner = ({ layers }: WindowStage): number => Math.max(0, ...layers.map(({ layer }) => layer.mlp.up.weight.shape[0] as number));
  const cells = most(({ grid }) => cellsOf(grid));
  const at = most((stage) => places(stage) * stage.width);
  return {
    // And the row of zeros behind them.
    x: (cells + 1) * most(({ width }) => width),
    w: Math.max(cells * (patches.weight.shape[1] as number), at),
    qkv: 3 * at,
    at,
    f: most((stage) => cellsOf(stage.grid) * Math.max(inner(stage), 4 * stage.width)),
  };
}

/** The grid with whole windows. */
export const paddedGrid = ([rows, columns]: Grid, window: number): Grid => [
  Math.ceil(rows / window) * window,
  Math.ceil(columns / window) * window,
];

/** The grid after four cells became one. */
export const mergedGrid = ([rows, columns]: Grid): Grid => [Math.ceil(rows / 2), Math.ceil(columns / 2)];

/** The cell of a grid that stands at each place of the windows of a layer, in their order; −1 where there is only padding. */
export function windowOrder(grid: Grid, { window, shift }: Pick<WindowLayer, 'window' | 'shift'>): Int32Array {
  const [rows, columns] = grid;
  const [height, width] = paddedGrid(grid, window);
  const across = width / window;
  return Int32Array.from({ length: height * width }, (_, place) => {
    const [n, cell] = [Math.floor(place / (window * window)), place % (window * window)];
    const y = (Math.floor(n / across) * window + Math.floor(cell / window) + shift) % height;
    const x = ((n % across) * window + (cell % window) + shift) % width;
    return y < rows && x < columns ? y * columns + x : -1;
  });
}

/** The cells that stand at one corner of each group of four; −1 beyond the edge. */
export function cornerOrder([rows, columns]: Grid, down: number, right: number): Int32Array {
  const [height, width] = mergedGrid([rows, columns]);
  return Int32Array.from({ length: height * width }, (_, n) => {
    const [y, x] = [2 * Math.floor(n / width) + down, 2 * (n % width) + right];
    return y < rows && x < columns ? y * columns + x : -1;
  });
}
