// The stages of a whole stack for some rows: embeddings, layers, last norm.

import type { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import type { LinearStage } from '../nn/linear-stage.ts';
import type { EmbedStage, NormStage } from '../nn/row-stages.ts';
import type { Stage } from '../threads/types.ts';
import { type Attending, LayerProgram } from './layer-program.ts';
import type { PackedStack, Widths } from './packed-stack.ts';
import { makeEmbed, makeLinear, makeNorm, normed, type Rows, type Source, through } from './rows.ts';
import type { Workspace } from './workspace.ts';

/** Tokens of a run, one list for all texts. */
export interface TokenRows {
  readonly ids: ArrayLike<number>;
  /** Of each token within its text. */
  readonly positions: ArrayLike<number>;
  readonly segments?: ArrayLike<number> | undefined;
}

export class StackProgram {
  readonly layers: readonly LayerProgram[];
  readonly #packed: PackedStack;
  readonly #embed: EmbedStage;
  readonly #projection: LinearStage | undefined;
  readonly #embedNorm: NormStage | undefined;
  readonly #norm: NormStage | undefined;

  constructor(layers: LayerContext, scope: Scope, packed: PackedStack, { embedded }: Widths) {
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

  /** x ← the embeddings of the rows. */
  embed(rows: number, { ids, positions, segments }: TokenRows, workspace: Workspace): Stage[] {
    const { position, type } = this.#packed.embeddings;
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

  /** All layers; `attend` and `attendCross` give the stages of a layer's attention by its number. */
  run(rows: number, workspace: Workspace, attend: (layer: number) => Attending, attendCross?: (layer: number) => Attending): Stage[] {
    const { buffers } = workspace;
    return this.layers.flatMap((layer, n) => layer.stages(rows, buffers, attend(n), attendCross?.(n)));
  }

  /** The last norm, if there is one: where the rows are then, and the stages that bring them there. */
  finish(rows: number, x: Rows, z: Rows): { readonly out: Rows; readonly stages: readonly Stage[] } {
    return this.#norm ? { out: z, stages: [normed(this.#norm, rows, x, z)] } : { out: x, stages: [] };
  }
}
