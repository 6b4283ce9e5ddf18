// The stages of a layer around its attention. Buffers are shared by all layers of a stack; x is the stream of the text's rows:
//
//   enter    z ← before(x); qkv ← z·W; clip and norms of q and k       (attention: qkv → at)
//   leave    x ← post(x + multiplier·after(at·W))
//   feed     z ← before(x); f ← act(z·W) …; x ← post(x + multiplier·after(f·W))

import type { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import type { LinearStage } from '../nn/linear-stage.ts';
import type { MapStage, NormStage } from '../nn/row-stages.ts';
import type { Stage } from '../threads/types.ts';
import type { PackedAttention, PackedLayer, PackedMlp } from './packed-stack.ts';
import type { PackedLinear } from './packing.ts';
import { column, makeLinear, makeMap, makeNorm, mapped, normed, type PackedNorm, type Rows, through } from './rows.ts';

/** Where the rows of a run lie. */
export interface Buffers {
  /** The stream. */
  readonly x: Rows;
  /** Normed rows. */
  readonly z: Rows;
  /** What a sub-layer gives before it joins the stream. */
  readonly y: Rows;
  readonly qkv: Rows;
  readonly at: Rows;
  readonly f: Rows;
  /** The rows of the embeddings before their projection, if there is one; or of what a layer has beside it. */
  readonly e: Rows;
}

/** What a layer of a run has beside attention and MLP (beside.ts). */
export interface Beside {
  /** Of x, before the layer changes it … */
  readonly before: readonly Stage[];
  /** … and behind it. */
  readonly after: readonly Stage[];
  /** Keys behind those of the rows, and what makes their rows in z. */
  readonly keys: number;
  readonly makeKeys: readonly Stage[];
}

/** What brings a sub-layer's rows into the stream. */
class Joining {
  readonly #linear: LinearStage;
  readonly #after: NormStage | undefined;
  readonly #map: MapStage | undefined;
  readonly #post: NormStage | undefined;

  constructor(
    layers: LayerContext,
    scope: Scope,
    linear: PackedLinear,
    {
      after,
      post,
      multiplier = 1,
    }: { readonly after: PackedNorm | undefined; readonly post: PackedNorm | undefined; readonly multiplier?: number | undefined },
  ) {
    this.#linear = makeLinear(layers, scope, linear);
    this.#after = after && makeNorm(layers, scope, after);
    this.#post = post && makeNorm(layers, scope, post);
    if (after || multiplier !== 1) this.#map = makeMap(layers, scope, linear.panels.outputs, { factor: multiplier, with: 'add' });
  }

  stages(rows: number, from: Rows, { x, y }: Buffers): Stage[] {
    const [linear, after, map, post] = [this.#linear, this.#after, this.#map, this.#post];
    const sum = post ? y : x;
    return [
      map ? through(linear, rows, from, y) : through(linear, rows, from, sum, x),
      ...(after ? [normed(after, rows, y, y)] : []),
      ...(map ? [mapped(map, rows, y, sum, x)] : []),
      ...(post ? [normed(post, rows, y, x)] : []),
    ];
  }
}

/** Attention without its scores: what makes q, k and v, and what is done with the result. */
export class AttentionProgram {
  readonly packed: PackedAttention;
  readonly #before: NormStage | undefined;
  readonly #input: LinearStage;
  readonly #clip: MapStage | undefined;
  readonly #queryNorm: NormStage | undefined;
  readonly #keyNorm: NormStage | undefined;
  readonly #memory: LinearStage | undefined;
  readonly #joining: Joining;

  constructor(layers: LayerContext, scope: Scope, packed: PackedAttention) {
    const { attention, before, input, memory, queryNorm, keyNorm, output, after, post } = packed;
    this.packed = packed;
    this.#before = before && makeNorm(layers, scope, before);
    this.#input = makeLinear(layers, scope, input);
    const { clip: limit } = attention;
    if (limit !== undefined) this.#clip = makeMap(layers, scope, input.panels.outputs, { limit });
    this.#memory = memory && makeLinear(layers, scope, memory);
    this.#queryNorm = queryNorm && makeNorm(layers, scope, queryNorm);
    this.#keyNorm = keyNorm && makeNorm(layers, scope, keyNorm);
    this.#joining = new Joining(layers, scope, output, { after, post, multiplier: attention.multiplier });
  }

  enter(rows: number, { x, z, e, qkv }: Buffers, beside?: Beside): Stage[] {
    const { heads, headWidth, unprojected } = this.packed.attention;
    const from = unprojected ? e : x;
    const keys = column(qkv, heads * headWidth);
    return [
      ...(this.#before ? [normed(this.#before, rows, from, z)] : []),
      ...(beside?.makeKeys ?? []),
      through(this.#input, rows + (beside?.keys ?? 0), this.#before ? z : from, qkv),
      ...(this.#clip ? [mapped(this.#clip, rows, qkv, qkv)] : []),
      ...(this.#queryNorm ? [normed(this.#queryNorm, rows, qkv, qkv)] : []),
      ...(this.#keyNorm && !this.#memory ? [normed(this.#keyNorm, rows, keys, keys)] : []),
    ];
  }

  /** k and v of cross-attention from an encoder's rows. */
  remember(rows: number, from: Rows, kv: Rows): Stage[] {
    return [through(this.#memory as LinearStage, rows, from, kv), ...(this.#keyNorm ? [normed(this.#keyNorm, rows, kv, kv)] : [])];
  }

  leave(rows: number, buffers: Buffers): Stage[] {
    return this.#joining.stages(rows, buffers.at, buffers);
  }
}

class MlpProgram {
  readonly #before: NormStage | undefined;
  readonly #up: LinearStage;
  readonly #joining: Joining;

  constructor(layers: LayerContext, scope: Scope, { mlp, before, up, down, after, post }: PackedMlp) {
    this.#before = before && makeNorm(layers, scope, before);
    this.#up = makeLinear(layers, scope, up, mlp.activation);
    this.#joining = new Joining(layers, scope, down, { after, post, multiplier: mlp.multiplier });
  }

  /** @param ready z has the normed rows already */
  enter(rows: number, { x, z, f }: Buffers, ready: boolean): Stage[] {
    const norm = this.#before && !ready ? [normed(this.#before, rows, x, z)] : [];
    return [...norm, through(this.#up, rows, this.#before ? z : x, f)];
  }

  leave(rows: number, buffers: Buffers): Stage[] {
    return this.#joining.stages(rows, buffers.f, buffers);
  }
}

/** What a layer's attention is at the moment: stages from qkv to at. */
export type Attending = (program: AttentionProgram) => readonly Stage[];

export class LayerProgram {
  readonly attention: AttentionProgram;
  readonly cross: AttentionProgram | undefined;
  readonly #mlp: MlpProgram;
  readonly #parallel: boolean;
  /** Attention and MLP share a norm. */
  readonly #shared: boolean;

  constructor(layers: LayerContext, scope: Scope, { layer, attention, cross, mlp }: PackedLayer) {
    this.attention = new AttentionProgram(layers, scope, attention);
    this.cross = cross && new AttentionProgram(layers, scope, cross);
    this.#mlp = new MlpProgram(layers, scope, mlp);
    this.#parallel = layer.parallel;
    this.#shared = layer.parallel && layer.attention.before === layer.mlp.before;
  }

  stages(rows: number, buffers: Buffers, attend: Attending, attendCross?: Attending, beside?: Beside): Stage[] {
    const { attention, cross } = this;
    const feed = (): Stage[] => this.#mlp.enter(rows, buffers, this.#shared);
    return [
      ...(beside?.before ?? []),
      ...attention.enter(rows, buffers, beside),
      ...attend(attention),
      ...(this.#parallel ? feed() : []),
      ...attention.leave(rows, buffers),
      ...(cross && attendCross ? [...cross.enter(rows, buffers), ...attendCross(cross), ...cross.leave(rows, buffers)] : []),
      ...(this.#parallel ? [] : feed()),
      ...this.#mlp.leave(rows, buffers),
      ...(beside?.after ?? []),
    ];
  }
}
