// The options of a layer's attention: its position schemes as encodings, and what the blueprint says of its scores.

import { type AttentionOptions, type CheckedOptions, checkOptions } from '../attention/options.ts';
import type { LayerContext } from '../nn/context.ts';
import { handlersOf, withHandlers } from '../plan/handlers.ts';
import type { Encoding, Plan } from '../plan/plan.ts';
import type { Attention, Position, PositionCall } from './blueprint.ts';
import type { Vector } from './packing.ts';
import type { PositionTables } from './position-tables.ts';

/** What attention is told of an encoding: what a cache rotates with, and the others. */
export interface Split {
  readonly rotation: Encoding | undefined;
  readonly others: readonly Encoding[];
}

/** Encodings as they are in a text of so many tokens, of which a call has but the first: rotations may depend on its length. */
export const asIn = (encodings: readonly Encoding[], length: number): readonly Encoding[] =>
  encodings.map((encoding) => {
    if (encoding.steady) return encoding;
    return withHandlers({ ...encoding, lower: (context) => encoding.lower({ ...context, length }) }, handlersOf(encoding));
  });

/** What a call has of its own. */
type Own = Omit<AttentionOptions, 'cache'> & Pick<CheckedOptions, 'cache'>;

export class Schemes {
  readonly #layers: LayerContext;
  readonly #tables: PositionTables;
  readonly #longest: number;
  readonly #sinks: ReadonlyMap<Attention, Vector>;
  readonly #made = new Map<Position, Encoding>();
  readonly #numbers = new Map<Position, number>();

  constructor(layers: LayerContext, tables: PositionTables, longest: number, sinks: ReadonlyMap<Attention, Vector>) {
    this.#layers = layers;
    this.#tables = tables;
    this.#longest = longest;
    this.#sinks = sinks;
  }

  /** The encoding of a scheme: made once, or for texts with segments anew. */
  encoding(position: Position, call?: PositionCall): Encoding {
    const tables = this.#tables.get(position) ?? {};
    if (call?.segments && position.segments) return position.make(tables, call);
    const made = this.#made.get(position) ?? position.make(tables, { length: this.#longest });
    this.#made.set(position, made);
    return made;
  }

  /** Layers whose attention has the same key differ in their weights alone. */
  key({ heads, keyHeads, headWidth, valueWidth, positions, scale, causal, window, softcap, sinks }: Attention): string {
    const numbers = positions.map((position) => {
      if (!this.#numbers.has(position)) this.#numbers.set(position, this.#numbers.size);
      return this.#numbers.get(position);
    });
    return JSON.stringify([heads, keyHeads, headWidth, valueWidth, numbers, scale, causal, window, softcap, sinks?.parts]);
  }

  /** A cache turns keys when they are stored if a scheme does nothing but turn them, the same way in every step. */
  split(attention: Attention): Split {
    const encodings = attention.positions.map((position) => this.encoding(position));
    const { heads: H, keyHeads: G, headWidth: D, valueWidth: E } = attention;
    const turns = (encoding: Encoding): boolean => {
      const plan = encoding.lower({ shape: { B: 1, H, G, L: 1, S: 1, D, E }, math: this.#layers.context.math });
      const parts = Object.keys(plan).filter((part) => plan[part as keyof Plan] !== undefined);
      return parts.length === 1 && parts[0] === 'rotation';
    };
    const rotation = encodings.find((encoding) => encoding.steady === true && turns(encoding));
    return { rotation, others: encodings.filter((encoding) => encoding !== rotation) };
  }

  /** Options of a call of this layer's attention. */
  options(where: string, attention: Attention, encodings: readonly Encoding[], more: Own): CheckedOptions {
    const { scale, causal, window, softcap } = attention;
    const sinks = this.#sinks.get(attention);
    const { arena } = this.#layers.context;
    return checkOptions(where, {
      ...(encodings.length && { encoding: encodings }),
      scale,
      causal,
      ...(window && { window }),
      ...(softcap !== undefined && { softcap }),
      ...(sinks && { sinks: Array.from(new Float32Array(arena.memory.buffer, sinks.pointer, sinks.size)) }),
      ...more,
    });
  }
}
