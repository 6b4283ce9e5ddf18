// What a checkpoint is and what it would take, from its headers: nothing is loaded.

import { readRecord } from '../arguments/record.ts';
import { WEIGHT_TYPES, type WeightType } from '../nn/weights.ts';
import { type ModelEstimate, settingOf } from './estimate.ts';
import { estimateAny } from './estimate-any.ts';
import { type CheckpointEstimate, OPEN, type OpenOptions, openModel } from './load.ts';
import { readSentenceSettings } from './sentence-files.ts';
import { GGUF } from './source.ts';
import type { AnyBlueprint } from './vision.ts';
import type { Weights } from './weights.ts';

/** Bytes that are fetched: of a GGUF file as it says, since they are not the bytes that are made of it. */
const storedBytes = (weights: Weights): number => (weights.metadata.format === GGUF ? Number(weights.metadata.bytes) : weights.bytesOf());

/** How much memory a model takes, from its headers: `estimate` of the entries. */
export async function estimateCheckpoint(given: unknown, options: OpenOptions = {}): Promise<CheckpointEstimate> {
  const where = 'estimate';
  const read = readRecord<OpenOptions>(where, options, OPEN);
  const opened = await openModel(where, given, read, readSentenceSettings);
  const { weights, blueprint } = opened;
  try {
    return { ...(await estimateAny(blueprint, settingOf(opened, read))), stored: storedBytes(weights) };
  } finally {
    await weights.close();
  }
}

/** What a checkpoint is, from its headers, and what each type of weights would take. */
export async function inspectCheckpoint(
  given: unknown,
  options: OpenOptions = {},
): Promise<{
  readonly blueprint: AnyBlueprint;
  readonly stored: number;
  readonly tensors: number;
  readonly storedAs: WeightType;
  /** Whether it was packed: it is loaded in the type that it is stored in. */
  readonly packed: boolean;
  readonly context: number;
  readonly memory: Readonly<Partial<Record<WeightType, ModelEstimate>>>;
}> {
  const where = 'inspect';
  const read = readRecord<OpenOptions>(where, options, OPEN);
  const opened = await openModel(where, given, read, readSentenceSettings);
  const { weights, packed, blueprint, type, longest } = opened;
  try {
    const memory: Partial<Record<WeightType, ModelEstimate>> = {};
    for (const each of packed ? [type] : WEIGHT_TYPES)
      memory[each] = await estimateAny(blueprint, { ...settingOf(opened, read), type: each });
    const { length: tensors } = weights.names;
    return { blueprint, stored: storedBytes(weights), tensors, storedAs: type, packed: packed !== undefined, context: longest, memory };
  } finally {
    await weights.close();
  }
}
