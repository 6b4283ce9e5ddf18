// A stack of layers in memory: which panels and vectors its blueprint needs, declared to a packing before they are loaded.

import type {
  Attention,
  Convolution,
  Dense,
  Embeddings,
  HeadNorm,
  Layer,
  Linear,
  Mlp,
  Norm,
  Position,
  Stack,
  Table,
  Weight,
} from './blueprint.ts';
import type { PackedLinear, Packing, Vector } from './packing.ts';
import type { PackedNorm, Source } from './rows.ts';
import { inputs, outputs } from './tensors.ts';

/**
 * What reads the rows of narrow embeddings is of 16 bits at least: it is little of a model, and whatever it rounds is in all that follows. On the
 * trained encoder of test/models/trained half the difference of i8 from f32 came from there.
 */
const FLOATS = { floats: true };

/** A dense step of a head in memory. */
export interface PackedDense {
  readonly dense: Dense;
  readonly linear: PackedLinear;
  readonly norm: PackedNorm | undefined;
}

/** An attention's projections: self-attention has q, k and v side by side, cross-attention k and v. */
export interface PackedAttention {
  readonly attention: Attention;
  readonly before: PackedNorm | undefined;
  readonly after: PackedNorm | undefined;
  readonly post: PackedNorm | undefined;
  /** q, k and v; of cross-attention q alone. */
  readonly input: PackedLinear;
  /** k and v of cross-attention. */
  readonly memory: PackedLinear | undefined;
  readonly queryNorm: PackedNorm | undefined;
  readonly keyNorm: PackedNorm | undefined;
  /** Of the keys of blocks. */
  readonly blockNorm: PackedNorm | undefined;
  readonly output: PackedLinear;
}

export interface PackedMlp {
  readonly mlp: Mlp;
  readonly before: PackedNorm | undefined;
  readonly after: PackedNorm | undefined;
  readonly post: PackedNorm | undefined;
  readonly up: PackedLinear;
  readonly down: PackedLinear;
}

export interface PackedConvolution {
  readonly convolution: Convolution;
  /** The middle one has the bias. */
  readonly taps: readonly PackedLinear[];
  readonly post: PackedNorm;
}

export interface PackedLayer {
  readonly layer: Layer;
  readonly attention: PackedAttention;
  readonly cross: PackedAttention | undefined;
  readonly mlp: PackedMlp;
  readonly beside: PackedConvolution | undefined;
}

export interface PackedEmbeddings {
  readonly embeddings: Embeddings;
  readonly token: Source;
  readonly rare: readonly { readonly first: number; readonly width: number; readonly table: Source; readonly projection: PackedLinear }[];
  readonly position: Source | undefined;
  readonly type: Source | undefined;
  readonly projection: PackedLinear | undefined;
  readonly norm: PackedNorm | undefined;
}

export interface PackedStack {
  readonly stack: Stack;
  readonly embeddings: PackedEmbeddings;
  readonly layers: readonly PackedLayer[];
  readonly norm: PackedNorm | undefined;
}

/** A table of a position scheme on its way from the checkpoint. */
export type PackedTable =
  | { readonly kind: 'numbers'; readonly vector: Vector }
  | {
      readonly kind: 'projected';
      readonly rows: Vector | undefined;
      readonly count: number | undefined;
      readonly norm: PackedNorm | undefined;
      readonly by: PackedLinear;
      readonly table: Extract<Table, { kind: 'projected' }>;
    };

export function packNorm(packing: Packing, norm: Norm | undefined, width: number): PackedNorm | undefined {
  if (!norm) return undefined;
  const of = (weight: Weight | undefined): Vector | undefined => weight && packing.vector(weight);
  return { norm, weight: of(norm.weight), bias: of(norm.bias), width };
}

/** @param floats as for `Packing.linear` */
export function packDense(packing: Packing, dense: Dense, floats = false): PackedDense {
  return { dense, linear: packing.linear([dense.linear], { floats }), norm: packNorm(packing, dense.norm, outputs(dense.linear)) };
}

function packHeadNorm(packing: Packing, norm: HeadNorm | undefined, heads: number, width: number): PackedNorm | undefined {
  if (!norm) return undefined;
  if (norm.over === 'all') return packNorm(packing, norm, heads * width);
  return { ...(packNorm(packing, norm, width) as PackedNorm), heads };
}

function packAttention(packing: Packing, attention: Attention, width: number, cross: boolean): PackedAttention {
  const { query, key, value, output, heads, keyHeads, headWidth, unprojected } = attention;
  return {
    attention,
    ...residualOf(packing, attention, width, inputs(query)),
    input: packing.linear(cross ? [query] : [query, key, value], { floats: unprojected }),
    memory: cross ? packing.linear([key, value]) : undefined,
    queryNorm: packHeadNorm(packing, attention.queryNorm, heads, headWidth),
    keyNorm: packHeadNorm(packing, attention.keyNorm, keyHeads, headWidth),
    blockNorm: packNorm(packing, attention.blocks?.norm, width),
    output: packing.linear([output]),
  };
}

/** @param input width of what the sub-layer reads */
const residualOf = (packing: Packing, given: Pick<Attention, 'before' | 'after' | 'post'>, width: number, input = width) => ({
  before: packNorm(packing, given.before, input),
  after: packNorm(packing, given.after, width),
  post: packNorm(packing, given.post, width),
});

function packMlp(packing: Packing, mlp: Mlp, width: number): PackedMlp {
  return {
    mlp,
    ...residualOf(packing, mlp, width),
    up: packing.linear([mlp.up], { gate: mlp.gate }),
    down: packing.linear([mlp.down]),
  };
}

function packConvolution(packing: Packing, convolution: Convolution | undefined, width: number): PackedConvolution | undefined {
  if (!convolution) return undefined;
  const { taps, bias, post } = convolution;
  const own = (n: number) => (bias && 2 * n + 1 === taps.length ? { bias } : {});
  return {
    convolution,
    taps: taps.map((weight, n) => packing.linear([{ weight, ...own(n) }])),
    post: packNorm(packing, post, width) as PackedNorm,
  };
}

function packEmbeddings(packing: Packing, embeddings: Embeddings, width: number): PackedEmbeddings {
  const { token, rare = [], position, type, projection, norm } = embeddings;
  return {
    embeddings,
    token: { panels: packing.table(token) },
    rare: rare.map(({ first, table, projection: own }) => ({
      first,
      width: table.shape[1] as number,
      table: { panels: packing.table(table) },
      projection: packing.linear([own], FLOATS),
    })),
    position: position && { table: packing.vector(position.table) },
    type: type && { table: packing.vector(type) },
    projection: projection && packing.linear([projection], FLOATS),
    norm: packNorm(packing, norm, width),
  };
}

export function packStack(packing: Packing, stack: Stack, width: number): PackedStack {
  return {
    stack,
    embeddings: packEmbeddings(packing, stack.embeddings, width),
    layers: stack.layers.map((layer) => ({
      layer,
      attention: packAttention(packing, layer.attention, width, false),
      cross: layer.cross && packAttention(packing, layer.cross, width, true),
      mlp: packMlp(packing, layer.mlp, width),
      beside: packConvolution(packing, layer.beside, width),
    })),
    norm: packNorm(packing, stack.norm, width),
  };
}

/** The tables of all position schemes of a stack, each scheme once. Of a packing of their own, which ends when they are made. */
export function packPositions(packing: Packing, stack: Stack): ReadonlyMap<Position, Readonly<Record<string, PackedTable>>> {
  const found = new Map<Position, Readonly<Record<string, PackedTable>>>();
  for (const { attention, cross } of stack.layers) {
    for (const position of [...attention.positions, ...(cross?.positions ?? [])]) {
      if (found.has(position)) continue;
      found.set(position, packTables(packing, position));
    }
  }
  return found;
}

/** The tables of one scheme. */
export function packTables(packing: Packing, { tables }: Position): Readonly<Record<string, PackedTable>> {
  return Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, packTable(packing, table)] as const));
}

function packTable(packing: Packing, table: Table): PackedTable {
  if (!('kind' in table)) return { kind: 'numbers', vector: packing.vector(table) };
  const drawn = 'kind' in table.rows;
  return {
    kind: 'projected',
    rows: drawn ? undefined : packing.vector(table.rows as Weight),
    count: drawn ? undefined : ((table.rows as Weight).shape[0] as number),
    norm: packNorm(packing, table.norm, inputs(table.by)),
    by: packing.linear([table.by]),
    table,
  };
}

/** Widths of the rows that a stack's layers pass on. */
export interface Widths {
  readonly stream: number;
  /** q, k and v side by side. */
  readonly projected: number;
  readonly attended: number;
  readonly inner: number;
  readonly embedded: number;
  /** The same rows, or what a layer has beside it while it is computed. */
  readonly kept: number;
}

/** Keys of blocks behind those of a text's tokens. */
export const blockKeys = ({ layers }: Stack, tokens: number): number =>
  Math.max(0, ...layers.map(({ attention: { blocks } }) => (blocks ? Math.floor(tokens / blocks.size) : 0)));

export function widthsOf({ layers, embeddings }: Stack, stream: number): Widths {
  const most = (of: (layer: Layer) => number): number => Math.max(0, ...layers.map(of));
  const sum = (...linears: readonly Linear[]): number => linears.reduce((total, linear) => total + outputs(linear), 0);
  const embedded = embeddings.token.shape[1] as number;
  return {
    stream,
    projected: most(({ attention: { query, key, value }, cross }) => Math.max(sum(query, key, value), cross ? sum(cross.query) : 0)),
    attended: most(({ attention, cross }) => Math.max(inputs(attention.output), cross ? inputs(cross.output) : 0)),
    inner: most(({ mlp }) => outputs(mlp.up)),
    embedded,
    kept: layers.some(({ beside }) => beside) ? Math.max(embedded, stream) : embedded,
  };
}
