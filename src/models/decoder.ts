// What the texts of a decoder share.

import { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import { EmbedStage } from '../nn/row-stages.ts';
import type { Stage } from '../threads/types.ts';
import type { Stack } from './blueprint.ts';
import type { LogitsProgram } from './head-program.ts';
import { Leftovers } from './leftovers.ts';
import type { PackedStack, Widths } from './packed-stack.ts';
import type { Schemes, Split } from './schemes.ts';
import { StackProgram } from './stack-program.ts';
import { CHUNK } from './tokens.ts';
import { Workspace } from './workspace.ts';

/** What the sessions of a decoder share. Its runs come one after another: they have one workspace. */
export class DecoderProgram {
  readonly layers: LayerContext;
  readonly where: string;
  readonly stack: Stack;
  readonly program: StackProgram;
  readonly workspace: Workspace;
  readonly schemes: Schemes;
  readonly logits: LogitsProgram | undefined;
  readonly widths: Widths;
  readonly vocabulary: number;
  /** Positions that there are rows of a table for; Infinity without a table. */
  readonly positions: number;
  /** By layer, what its cache rotates with and what is told to each call. */
  readonly splits: readonly Split[];
  readonly leftovers: Leftovers;
  /** Texts that have not given their memory back. */
  texts = 0;
  /** The run whose parameter blocks hold for another one like it. */
  latest: object | undefined;
  /** Brings rows of x together in y; the numbers of those lie at `rows`. */
  readonly #gather: { readonly rows: number; readonly stage: EmbedStage };

  constructor(
    layers: LayerContext,
    scope: Scope,
    where: string,
    packed: PackedStack,
    widths: Widths,
    schemes: Schemes,
    logits: LogitsProgram | undefined,
    vocabulary: number,
  ) {
    this.layers = layers;
    this.leftovers = new Leftovers(layers.context);
    if (logits) this.leftovers.add(() => logits.drop());
    this.where = where;
    this.stack = packed.stack;
    this.program = new StackProgram(layers, scope, packed, widths);
    this.schemes = schemes;
    this.logits = logits;
    this.widths = widths;
    this.vocabulary = vocabulary;
    const { position } = packed.stack.embeddings;
    this.positions = position ? (position.table.shape[0] as number) - position.offset : Infinity;
    this.splits = packed.stack.layers.map(({ attention }) => schemes.split(attention));
    this.workspace = new Workspace(layers.context, where, widths);
    this.workspace.reserve(CHUNK);
    scope.defer(() => this.workspace.dispose());
    const { at, stride } = this.workspace.rows('x');
    const tables = [{ pointer: at, type: 'f32' as const, row: stride }];
    this.#gather = { rows: scope.allocate(4 * CHUNK), stage: new EmbedStage(layers.context, scope, { width: widths.stream, tables }) };
  }

  /** Where a text that begins keeps what it has. */
  begin(): Scope {
    const scope = new Scope(this.layers.context.arena);
    this.texts++;
    scope.defer(() => {
      this.texts--;
    });
    return scope;
  }

  /** y ← these rows of x. */
  gather(rows: readonly number[]): Stage {
    const { rows: at, stage } = this.#gather;
    this.layers.context.arena.words.set(rows, at / 4);
    const { at: out, stride } = this.workspace.rows('y');
    return stage.stage({ rows: rows.length, out, outRow: stride, ids: [at] });
  }
}
