// All that a model needs of its checkpoint, declared: nothing is read or reserved yet, so that it can be added up, packed, or found in packed files.

import type { WeightType } from '../nn/weights.ts';
import type { Attention, Blueprint, Dense, Position, Stack } from './blueprint.ts';
import type { PackedLogits } from './head-program.ts';
import { type PackedDense, type PackedStack, type PackedTable, packDense, packPositions, packStack } from './packed-stack.ts';
import { Packing, type Vector } from './packing.ts';

export interface PackedHeads {
  readonly head: PackedLogits | undefined;
  readonly pooler: PackedDense | undefined;
  readonly afterPooling: readonly PackedDense[] | undefined;
  readonly classifier: readonly PackedDense[] | undefined;
}

/** A model's panels and vectors, and the packings that know of which tensors they are. */
export interface Declared {
  /** What stays while the model runs. */
  readonly packing: Packing;
  /** What position tables are made of, in f32: given back when they are. */
  readonly scratch: Packing;
  readonly encoder: PackedStack | undefined;
  readonly decoder: PackedStack | undefined;
  readonly heads: PackedHeads;
  readonly sinks: ReadonlyMap<Attention, Vector>;
  readonly positions: readonly ReadonlyMap<Position, Readonly<Record<string, PackedTable>>>[];
}

/** @param logits whether those over the vocabulary are wanted, if there are any */
export function declareModel(blueprint: Blueprint, type: WeightType, logits = true): Declared {
  const { width, encoder, decoder } = blueprint;
  const packing = new Packing(type);
  const scratch = new Packing('f32');
  return {
    packing,
    scratch,
    encoder: encoder && packStack(packing, encoder, width),
    decoder: decoder && packStack(packing, decoder, width),
    heads: packHeads(packing, blueprint, logits),
    sinks: packSinks(packing, [encoder, decoder]),
    positions: [encoder, decoder].flatMap((stack) => (stack ? [packPositions(scratch, stack)] : [])),
  };
}

/** What the heads of a model need; those that are declared are packed with the rest. */
function packHeads(packing: Packing, { logits, pooler, afterPooling, classifier }: Blueprint, wanted: boolean): PackedHeads {
  const dense = (step: Dense | undefined): PackedDense | undefined => step && packDense(packing, step);
  return {
    // Four bits are too few for the rows of tokens, tied or not.
    head:
      logits && wanted
        ? {
            head: logits,
            dense: dense(logits.dense),
            output: packing.linear([logits.output], { tables: true }),
            rare: (logits.rare ?? []).map((one) => ({
              dense: packDense(packing, one.dense),
              output: packing.linear([one.output], { tables: true }),
            })),
          }
        : undefined,
    pooler: dense(pooler),
    // One row of a text goes through these: integers would save nothing, and what they lose no later layer evens out.
    afterPooling: afterPooling?.map((step) => packDense(packing, step, true)),
    classifier: classifier?.steps.map((step) => packDense(packing, step)),
  };
}

function packSinks(packing: Packing, stacks: readonly (Stack | undefined)[]): ReadonlyMap<Attention, Vector> {
  const sinks = new Map<Attention, Vector>();
  for (const stack of stacks) {
    for (const { attention } of stack?.layers ?? []) if (attention.sinks) sinks.set(attention, packing.vector(attention.sinks));
  }
  return sinks;
}
