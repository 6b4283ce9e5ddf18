// An encoder's run: the rows of all texts one after another, without padding, in one job.

import { prepareAttention } from '../attention/attention.ts';
import type { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import type { Call } from '../plan/context.ts';
import type { Signal } from '../platform/types.ts';
import { jobOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import type { BesideProgram } from './beside.ts';
import type { Attention, PositionCall, Stack } from './blueprint.ts';
import { blockKeys, type PackedStack, type Widths } from './packed-stack.ts';
import type { Rows } from './rows.ts';
import type { Schemes } from './schemes.ts';
import { StackProgram } from './stack-program.ts';
import { Workspace, writing } from './workspace.ts';

/** A text as tokens. */
export interface TokenText {
  readonly ids: ArrayLike<number>;
  /** Segment of each token; default 0. */
  readonly segments?: ArrayLike<number> | undefined;
}

/** Rows of texts: those of text n are offsets[n] … offsets[n + 1] − 1 of `rows`, [tokens, width], which hold until the next run. */
export interface EncodedTexts {
  readonly rows: Tensor;
  readonly offsets: readonly number[];
}

/** Stages behind the last norm, from the rows of texts. */
export type Tail = (rows: Rows, offsets: readonly number[]) => readonly Stage[];

/** What attention has in place of its values and its result. */
interface Other {
  readonly v: Tensor;
  readonly out: Tensor;
}

/** The stages of a layer's attention with other values, v [keys, G, E] and out [rows, H, E], from the q and k that it has at that time. */
export type Planning = (v: Tensor, out: Tensor) => readonly Stage[];

/** What is looked at in a run, which ends behind that layer. */
export interface Seen {
  readonly layer: number;
  /** Stages beside those of its attention. */
  more(attention: Attention, rows: number, keys: number, plan: Planning): readonly Stage[];
}

export class EncoderProgram {
  readonly layers: LayerContext;
  readonly where: string;
  readonly #stack: Stack;
  readonly #program: StackProgram;
  readonly #schemes: Schemes;
  readonly #width: number;
  readonly #beside: BesideProgram | undefined;
  readonly workspace: Workspace;

  /** @param beside what its layers have beside attention and MLP, if any has something */
  constructor(
    layers: LayerContext,
    scope: Scope,
    where: string,
    packed: PackedStack,
    widths: Widths,
    schemes: Schemes,
    beside: BesideProgram | undefined,
  ) {
    this.layers = layers;
    this.where = where;
    this.#stack = packed.stack;
    this.#program = new StackProgram(layers, scope, packed, widths);
    this.#schemes = schemes;
    this.#width = widths.stream;
    this.#beside = beside;
    this.workspace = new Workspace(layers.context, where, widths);
    scope.defer(() => this.workspace.dispose());
  }

  /** Bytes of its rows for so many tokens. */
  bytesOf(tokens: number): number {
    return this.workspace.bytesOf(tokens + blockKeys(this.#stack, tokens));
  }

  /** Gives back what a run left, until the next one. */
  drop(): void {
    this.workspace.dispose();
    this.#beside?.drop();
  }

  /** True if these texts have to be run one by one: keys of blocks are those of one text, a scheme that knows segments is made anew for each. */
  apart(texts: readonly TokenText[]): boolean {
    const knows = this.#stack.layers.some(({ attention }) => attention.positions.some(({ segments }) => segments));
    return this.#beside?.apart || (knows && texts.length > 1 && texts.some(({ segments }) => segments !== undefined));
  }

  /**
   * Runs texts, and in the same job what `tail` adds behind the last norm, or a text up to a layer in which something is seen; nothing is to be in
   * `workspace` that is needed.
   *
   * @throws RelposError; the signal's reason
   */
  async run(texts: readonly TokenText[], signal?: Signal, tail?: Tail, seen?: Seen): Promise<EncodedTexts> {
    const { workspace } = this;
    const offsets = [0];
    for (const { ids } of texts) offsets.push((offsets.at(-1) as number) + ids.length);
    const rows = offsets.at(-1) as number;
    workspace.reserve(Math.max(1, rows + blockKeys(this.#stack, rows)));
    const calls = new Map<string, Call>();
    try {
      const tokens = joined(texts, rows);
      const beside = this.#beside?.run(offsets, workspace.buffers);
      const { out, stages } = this.#program.finish(rows, workspace.rows('x'), workspace.rows('z'));
      const all = [
        ...this.#program.embed(rows, tokens, workspace),
        ...this.#program.run(
          rows,
          workspace,
          (layer) => () => this.#attend(layer, calls, offsets, texts, seen),
          undefined,
          beside,
          seen?.layer,
        ),
        ...stages,
        ...(tail && rows ? tail(out, offsets) : []),
      ];
      if (rows) await this.layers.pool.run(jobOf(writing(all, workspace.outputs)), { signal });
      for (const call of calls.values()) {
        call.finish();
        call.release(false);
      }
      calls.clear();
      const tensor = workspace.tensor(out.at === workspace.rows('x').at ? 'x' : 'z');
      return { rows: tensor.restride([rows, this.#width], [this.#width, 1]), offsets };
    } finally {
      // What the calls write is the workspace, which their release leaves alone.
      for (const call of calls.values()) call.release(false);
    }
  }

  /** The stages of a layer's attention: those of the first layer like it, but for tables that are filled by then; and of what is seen there. */
  #attend(layer: number, calls: Map<string, Call>, offsets: readonly number[], texts: readonly TokenText[], seen?: Seen): readonly Stage[] {
    const { attention } = this.#stack.layers[layer] as Stack['layers'][number];
    const stagesOf = (key: string, other?: Other): readonly Stage[] => {
      const known = calls.get(key);
      const call = known ?? this.#plan(attention, offsets, texts, other);
      calls.set(key, call);
      const stages = [...call.preparations, call.job];
      return known ? stages.filter(({ kernel }) => kernel !== 'rotaryTable') : stages;
    };
    const stages = stagesOf(this.#schemes.key(attention));
    if (seen?.layer !== layer) return stages;
    const rows = offsets.at(-1) as number;
    const keys = rows + (this.#beside?.attend(attention, rows)?.keys ?? 0);
    return [...stages, ...seen.more(attention, rows, keys, (v, out) => stagesOf(`seen ${calls.size}`, { v, out }))];
  }

  #plan(attention: Attention, offsets: readonly number[], texts: readonly TokenText[], other?: Other): Call {
    const { context } = this.layers;
    const { heads: H, keyHeads: G, headWidth: D, valueWidth: E } = attention;
    const rows = offsets.at(-1) as number;
    const [qkv, at] = [this.workspace.tensor('qkv'), this.workspace.tensor('at')];
    const [n, m] = [qkv.strides[0] as number, at.strides[0] as number];
    const { keys = 0, ...more } = this.#beside?.attend(attention, rows) ?? { queryOffsets: [...offsets] };
    const view = (heads: number, width: number, from: number, count = rows + keys): Tensor =>
      qkv.restride([count, heads, width], [n, width, 1], from);
    const [q, k, v] = [view(H, D, 0, rows), view(G, D, H * D), view(G, E, (H + G) * D)];
    const out = at.restride([rows, H, E], [m, E, 1]);
    const segments = texts.length === 1 ? texts[0]?.segments : undefined;
    const call: PositionCall | undefined = segments && { length: rows, segments: Array.from(segments) };
    const encodings = attention.positions.map((position) => this.#schemes.encoding(position, call));
    const to = other?.out ?? out;
    try {
      return prepareAttention(
        context,
        this.where,
        q,
        k,
        other?.v ?? v,
        this.#schemes.options(this.where, attention, encodings, { ...more, out: to }),
        false,
      );
    } finally {
      for (const tensor of [q, k, v, out]) tensor.dispose();
    }
  }
}

/** The tokens of all texts in one list. */
function joined(texts: readonly TokenText[], rows: number): { ids: Int32Array; positions: Int32Array; segments: Int32Array } {
  const lists = { ids: new Int32Array(rows), positions: new Int32Array(rows), segments: new Int32Array(rows) };
  let next = 0;
  for (const { ids, segments } of texts) {
    for (let n = 0; n < ids.length; n++, next++) {
      lists.ids[next] = ids[n] as number;
      lists.positions[next] = n;
      lists.segments[next] = segments?.[n] ?? 0;
    }
  }
  return lists;
}
