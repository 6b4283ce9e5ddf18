// All that a model of images needs of its checkpoint, declared, as declared.ts does it for texts.

import type { WeightType } from '../nn/weights.ts';
import type { Position } from './blueprint.ts';
import { type Declared, declareModel } from './declared.ts';
import { type PackedDense, type PackedTable, packDense, packNorm, packTables } from './packed-stack.ts';
import { type PackedLinear, Packing, type Vector } from './packing.ts';
import type { PackedNorm } from './rows.ts';
import type { AnyBlueprint, VisionBlueprint, WindowLayer, WindowStage } from './vision.ts';

/** A layer's weights in memory. */
export interface PackedWindowLayer {
  readonly given: WindowLayer;
  readonly input: PackedLinear;
  readonly output: PackedLinear;
  readonly up: PackedLinear;
  readonly down: PackedLinear;
  readonly norms: Readonly<Record<'before' | 'after' | 'mlpBefore' | 'mlpAfter', PackedNorm | undefined>>;
}

export interface PackedStage {
  readonly stage: WindowStage;
  readonly layers: readonly PackedWindowLayer[];
  readonly merging:
    | { readonly linear: PackedLinear; readonly before: PackedNorm | undefined; readonly after: PackedNorm | undefined }
    | undefined;
}

function packLayer(packing: Packing, given: WindowLayer, width: number): PackedWindowLayer {
  const { attention, mlp } = given.layer;
  const norm = (one: typeof attention.before): PackedNorm | undefined => packNorm(packing, one, width);
  return {
    given,
    input: packing.linear([attention.query, attention.key, attention.value]),
    output: packing.linear([attention.output]),
    up: packing.linear([mlp.up]),
    down: packing.linear([mlp.down]),
    norms: { before: norm(attention.before), after: norm(attention.after), mlpBefore: norm(mlp.before), mlpAfter: norm(mlp.after) },
  };
}

export interface PackedVision {
  readonly patches: PackedLinear;
  readonly norm: PackedNorm | undefined;
  readonly positions: Vector | undefined;
  readonly stages: readonly PackedStage[];
  readonly lastNorm: PackedNorm | undefined;
  readonly classifier: readonly PackedDense[] | undefined;
}

function packVision(packing: Packing, { patches, norm, positions, stages, lastNorm, width, classifier }: VisionBlueprint): PackedVision {
  return {
    patches: packing.linear([patches]),
    norm: packNorm(packing, norm, stages[0]?.width as number),
    positions: positions && packing.vector(positions),
    stages: stages.map((stage) => ({
      stage,
      layers: stage.layers.map((layer) => packLayer(packing, layer, stage.width)),
      merging: stage.merging && {
        linear: packing.linear([stage.merging.linear]),
        before: packNorm(packing, stage.merging.before, 4 * stage.width),
        after: packNorm(packing, stage.merging.after, 2 * stage.width),
      },
    })),
    lastNorm: packNorm(packing, lastNorm, width),
    classifier: classifier?.steps.map((step) => packDense(packing, step)),
  };
}

/** A model's panels and vectors, and the packings that know of which tensors they are. */
export interface DeclaredVision extends Pick<Declared, 'packing' | 'scratch'> {
  readonly packed: PackedVision;
  readonly positions: ReadonlyMap<Position, Readonly<Record<string, PackedTable>>>;
}

export function declareVision(blueprint: VisionBlueprint, type: WeightType): DeclaredVision {
  const packing = new Packing(type);
  const scratch = new Packing('f32');
  const positions = blueprint.stages.flatMap(({ layers }) => layers.flatMap(({ layer }) => layer.attention.positions));
  return {
    packing,
    scratch,
    packed: packVision(packing, blueprint),
    positions: new Map(positions.map((position) => [position, packTables(scratch, position)])),
  };
}

/** The same of a model of either. */
export const declareAny = (blueprint: AnyBlueprint, type: WeightType): Pick<Declared, 'packing' | 'scratch'> =>
  blueprint.kind === 'images' ? declareVision(blueprint, type) : declareModel(blueprint, type);
