// The stages of a whole stack for some rows: embeddings, layers, last norm.

import type { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import type { LinearStage } from '../nn/linear-stage.ts';
import { EmbedStage, type NormStage } from '../nn/row-stages.ts';
import type { Stage } from '../threads/types.ts';
import { type Attending, type Beside, LayerProgram } from './layer-program.ts';
import type { PackedEmbeddings, PackedStack, Widths } from './packed-stack.ts';
import type { PackedLinear } from './packing.ts';
import { makeEmbed, makeLinear, makeNorm, normed, type Rows, type Source, through } from './rows.ts';
import type { Workspace } from './workspace.ts';

/** Tokens of a run, one list for all texts. */
export interface TokenRows {
  readonly ids: ArrayLike<number>;
  /** Of each token within its text. */
  readonly positions: ArrayLike<number>;
  readonly segments?: ArrayLike<number> | undefined;
}

/** Tokens in clusters: rows of each cluster through its own projection, then all of them in the order of the text. */
class ClusterProgram {
  readonly #clusters: readonly { readonly first: number; readonly embed: EmbedStage; readonly projection: LinearStage }[];
  readonly #order: EmbedStage;

  constructor(layers: LayerContext, scope: Scope, { token, rare, projection, embeddings }: PackedEmbeddings, widths: Widths, y: Rows) {
    const first = { first: 0, width: widths.embedded, table: token, projection: projection as PackedLinear };
    this.#clusters = [first, ...rare].map((cluster) => ({
      first: cluster.first,
      embed: makeEmbed(layers, scope, cluster.width, 1, [cluster.table]),
      projection: makeLinear(layers, scope, cluster.projection),
    }));
    const tables = [{ pointer: y.at, type: 'f32' as const, row: y.stride }];
    this.#order = new EmbedStage(layers.context, scope, { width: widths.stream, scale: embeddings.scale ?? 1, tables });
  }

  stages(rows: number, ids: ArrayLike<number>, workspace: Workspace): Stage[] {
    const [x, y, e] = [workspace.rows('x'), workspace.rows('y'), workspace.rows('e')];
    const inside = new Int32Array(rows);
    const places = new Int32Array(rows);
    const starts = [0];
    let next = 0;
    for (const [c, { first }] of this.#clusters.entries()) {
      const end = this.#clusters[c + 1]?.first ?? Infinity;
      for (let n = 0; n < rows; n++) {
        const id = ids[n] as number;
        if (id < first || id >= end) continue;
        inside[next] = id - first;
        places[n] = next++;
      }
      starts.push(next);
    }
    const at = workspace.putIds(0, inside);
    const order = workspace.putIds(1, places);
    const behind = (all: Rows, n: number): Rows => ({ at: all.at + n * all.stride, stride: all.stride });
    const clusters = this.#clusters.flatMap(({ embed, projection }, c) => {
      const [start, end] = [starts[c] as number, starts[c + 1] as number];
      if (start === end) return [];
      const from = behind(e, start);
      return [
        embed.stage({ rows: end - start, out: from.at, outRow: from.stride, ids: [at + 4 * start] }),
        through(projection, end - start, from, behind(y, start)),
      ];
    });
    return [...clusters, this.#order.stage({ rows, out: x.at, outRow: x.stride, ids: [order] })];
  }
}

export class StackProgram {
  readonly layers: readonly LayerProgram[];
  readonly #packed: PackedStack;
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #widths: Widths;
  readonly #embed: EmbedStage;
  /** Made when the workspace is there. */
  #clusters: ClusterProgram | undefined;
  readonly #projection: LinearStage | undefined;
  readonly #embedNorm: NormStage | undefined;
  readonly #norm: NormStage | undefined;

  constructor(layers: LayerContext, scope: Scope, packed: PackedStack, widths: Widths) {
    const { embedded } = widths;
    this.#layers = layers;
    this.#scope = scope;
    this.#widths = widths;
    const { embeddings, norm } = packed;
    const { token, position, type, projection } = embeddings;
    this.#packed = packed;
    const sources = [token, position, type].filter((source): source is Source => source !== undefined);
    this.#embed = makeEmbed(layers, scope, embedded, embeddings.embeddings.scale ?? 1, sources);
    this.#projection = projection && makeLinear(layers, scope, projection);
    this.#embedNorm = embeddings.norm && makeNorm(layers, scope, embeddings.norm);
    this.layers = packed.layers.map((layer) => new LayerProgram(layers, scope, layer));
    this.#norm = norm && makeNorm(layers, scope, norm);
  }

  /** Whether the stages of a row are the same whatever its token is. */
  get steady(): boolean {
    return this.#packed.embeddings.rare.length === 0;
  }

  /** The token and position of a run of one row whose stages are there. */
  place(id: number, position: number, workspace: Workspace): void {
    workspace.putId(0, id);
    workspace.putId(1, position + (this.#packed.embeddings.embeddings.position?.offset ?? 0));
  }

  /** x ← the embeddings of the rows. */
  embed(rows: number, { ids, positions, segments }: TokenRows, workspace: Workspace): Stage[] {
    const { position, type, rare } = this.#packed.embeddings;
    if (rare.length) {
      this.#clusters ??= new ClusterProgram(this.#layers, this.#scope, this.#packed.embeddings, this.#widths, workspace.rows('y'));
      return this.#clusters.stages(rows, ids, workspace);
    }
    const offset = this.#packed.embeddings.embeddings.position?.offset ?? 0;
    const lists = [workspace.putIds(0, ids)];
    if (position)
      lists.push(
        workspace.putIds(
          1,
          Int32Array.from(positions, (p) => p + offset),
        ),
      );
    if (type) lists.push(workspace.putIds(2, segments ?? new Int32Array(rows)));
    const [x, y, e] = [workspace.rows('x'), workspace.rows('y'), workspace.rows('e')];
    // From where it begins to x, a step at a time.
    const summed = this.#projection ? e : this.#embedNorm ? y : x;
    const projected = this.#embedNorm ? y : x;
    return [
      this.#embed.stage({ rows, out: summed.at, outRow: summed.stride, ids: lists }),
      ...(this.#projection ? [through(this.#projection, rows, e, projected)] : []),
      ...(this.#embedNorm ? [normed(this.#embedNorm, rows, y, x)] : []),
    ];
  }

  /**
   * All layers, or the first ones up to `last`; `attend` and `attendCross` give the stages of a layer's attention by its number, `beside` what it has
   * beside that.
   */
  run(
    rows: number,
    workspace: Workspace,
    attend: (layer: number) => Attending,
    attendCross?: (layer: number) => Attending,
    beside?: (layer: number) => Beside,
    last: number = Infinity,
  ): Stage[] {
    const { buffers } = workspace;
    return this.layers.slice(0, last + 1).flatMap((layer, n) => layer.stages(rows, buffers, attend(n), attendCross?.(n), beside?.(n)));
  }

  /** The last norm, if there is one: where the rows are then, and the stages that bring them there. */
  finish(rows: number, x: Rows, z: Rows): { readonly out: Rows; readonly stages: readonly Stage[] } {
    return this.#norm ? { out: z, stages: [normed(this.#norm, rows, x, z)] } : { out: x, stages: [] };
  }
}
