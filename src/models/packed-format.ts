// Packed files: safetensors whose tensors are a model's panels and vectors as they lie in memory, so that loading is reading.
//
//   panels    [panels, inputs, 8] of F32, F16, BF16; [panels, bytes] of I8 for i8 and of U8 for i4 (assembly/nn/blocks.txt)
//   vectors   [numbers] of F32: norms, biases in the order of the panels, tables that are used as they are
//
// A tensor has the name of the first one of the checkpoint that is in it: q, k and v of a layer lie under that of q. What position tables are made
// of is always f32 and has `positions.` before the name. The metadata of every file says:
//
//   format    PACKED
//   version   VERSION, a new one whenever panels or their types change
//   weights   the type: 'i8'
//   tensors   names and shapes of the checkpoint's own tensors, as JSON: a blueprint is made of them

import { DTYPES } from '../memory/dtypes.ts';
import { type Panels, panelBytes, panelCount } from '../nn/weights.ts';
import type { SafetensorsDtype } from '../safetensors/header.ts';
import * as field from '../wasm/generated/layers.ts';
import type { Weight } from './blueprint.ts';
import type { Declared } from './declared.ts';
import type { Place } from './packing.ts';
import { isZeros } from './tensors.ts';

export const VERSION = '3';

/** A tensor of a packed file. */
export interface PackedTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Where it lies in memory. */
  readonly place: Place;
}

/** The tensors that a model has when it is packed, in the order of its memory. */
export function packedTensors({ packing, scratch }: Pick<Declared, 'packing' | 'scratch'>): PackedTensor[] {
  const taken = new Set<string>();
  const named = (prefix: string) => (place: Place) => {
    const first = prefix + firstTensor(place.of);
    let name = first;
    for (let n = 2; taken.has(name); n++) name = `${first}~${n}`;
    taken.add(name);
    return { name, ...elementsOf(place.to), place };
  };
  return [...packing.places.map(named('')), ...scratch.places.map(named('positions.'))];
}

function firstTensor({ parts }: Weight): string {
  const first = parts.find((part) => !isZeros(part));
  return first && !isZeros(first) ? first.tensor : 'zeros';
}

function elementsOf(to: Place['to']): Pick<PackedTensor, 'dtype' | 'shape'> {
  if ('size' in to) return { dtype: 'F32', shape: [to.size] };
  const panels: Panels = to;
  const { type, inputs } = panels;
  const count = panelCount(panels);
  if (type === 'i8' || type === 'i4') return { dtype: type === 'i8' ? 'I8' : 'U8', shape: [count, panelBytes(type, inputs)] };
  return { dtype: DTYPES[type].safetensors, shape: [count, inputs, field.PANEL] };
}
