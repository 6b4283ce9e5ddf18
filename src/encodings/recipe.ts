// One typical use of a scheme, for timing (bench/main.mjs), pictures (scripts/docs.mjs) and tests. Every scheme's file has its own; the build
// gathers them, and they are no part of the package.

/** Query heads, length and head width of the call: L queries and L keys. */
export interface RecipeSizes {
  readonly H: number;
  readonly L: number;
  readonly D: number;
}

/** Makers of numbers. */
export interface RecipeMakers {
  readonly engine: { tensor(shape: readonly number[], data: Float32Array): unknown };
  /** What is looked up by position, along the axis; default 0. */
  table(shape: readonly number[], axis?: number): Float32Array;
  /** What is not looked up by position. */
  weights(shape: readonly number[]): Float32Array;
}

/** One typical use of a scheme. */
export interface Recipe {
  /** What the cost is bounded by, see BOUNDS in bench/schemes.mjs. */
  readonly kind: string;
  /** `'square'`: L is a square number; `'class'`: one more, for a class token. */
  readonly form?: 'square' | 'class';
  /** The constructor's options. */
  options(sizes: RecipeSizes, makers: RecipeMakers): unknown;
  /** More arguments of the constructor. */
  readonly arguments?: readonly unknown[];
  /** Options of the call. */
  readonly attention?: { readonly causal?: boolean; readonly scale?: number };
  /** False if there is nothing to draw. */
  readonly picture?: boolean;
}

/** Recipes by the name of the scheme. */
export type Recipes = Readonly<Record<string, Recipe>>;

/** The length nearest below `L` that the form of a recipe allows. */
export function lengthOf({ form }: Recipe, L: number): number {
  if (form === undefined) return L;
  const side = Math.floor(Math.sqrt(L));
  const cells = side * side;
  return form === 'class' ? cells + 1 : cells;
}

/** Rows and columns of a square of L cells. */
export const squareOf = (L: number): [number, number] => [Math.sqrt(L), Math.sqrt(L)];

/** Rows of a table over the differences of two cells. */
export const differencesOf = ([h, w]: readonly [number, number]): number => (2 * h - 1) * (2 * w - 1);

/** −(|y| + |x|) as an MLP: the hidden units are the positive parts of y, −y, x and −x, sixteen times. */
export const manhattanMlp = (H: number): { weight1: Float32Array; bias1: Float32Array; weight2: Float32Array } => ({
  weight1: Float32Array.from({ length: 128 }, (_, n) => [1, 0, -1, 0, 0, 1, 0, -1][n % 8] as number),
  bias1: new Float32Array(64),
  weight2: new Float32Array(64 * H).fill(-1 / 16),
});

/** A linear layer from two features to D channels that passes the first on. */
export const firstColumn = (D: number): { weight: Float32Array; bias: Float32Array } => ({
  weight: Float32Array.from({ length: 2 * D }, (_, n) => Number(n % 2 === 0)),
  bias: new Float32Array(D),
});

/** Time, row and column of some words, an image, and words again: [3, L]. */
export function pageOfWords(L: number): number[] {
  const [words, side] = [L >> 2, Math.floor(Math.sqrt(L / 2))];
  const cells = side * side;
  const axis = (place: (cell: number) => number): number[] =>
    Array.from({ length: L }, (_, j) => {
      if (j < words) return j;
      return j < words + cells ? words + place(j - words) : words + side + j - words - cells;
    });
  return [...axis(() => 0), ...axis((n) => Math.floor(n / side)), ...axis((n) => n % side)];
}
