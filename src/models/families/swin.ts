// Swin (Liu et al. 2021) and Swin v2 (2021): attention within windows that every other layer shifts; v1 norms before, v2 what is added, and its
// scores are cosines.

import { describe, shapeText, wrongType, wrongValue } from '../../arguments/check.ts';
import { swin as swinEncoding } from '../../encodings/swin.ts';
import { swinV2 as swinV2Encoding } from '../../encodings/swinv2.ts';
import type { Layer, Linear, Position } from '../blueprint.ts';
import { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { cellsOf, type Grid, type Merging, mergedGrid, paddedGrid, type VisionBlueprint, type WindowLayer } from '../vision.ts';
import { frozen } from './make.ts';
import { attention, classifierOf, rowsOf } from './parts.ts';

const where = 'config.json';

/** `model_type` of configs. */
export const IMAGE_TYPES: readonly unknown[] = ['swin', 'swinv2'];

/** Norms of patches and of merging have the default of their class, whatever the config says. */
const EPSILON = 1e-5;
/** Units of the MLP that makes v2's biases. */
const UNITS = 512;
/** Cells of a side of a window at most. */
const LARGEST_WINDOW = 65536;

/** One number for both sides, or one for each. */
function sideOf(config: Config, key: string, fallback: number): Grid {
  const value = config.raw[key] ?? fallback;
  const sides = Array.isArray(value) ? value : [value, value];
  if (sides.length !== 2 || !sides.every((side) => Number.isInteger(side) && side > 0)) {
    throw wrongType(where, key, 'one number of pixels or two', value);
  }
  return sides as unknown as Grid;
}

/** A list with a number for each stage. */
function perStage(config: Config, key: string, fallback: readonly number[]): readonly number[] {
  const list = config.list(key) ?? fallback;
  if (!list.every((n) => Number.isInteger(n) && (n as number) >= 0)) throw wrongType(where, key, 'a list of integers', list);
  return list as readonly number[];
}

/** The windows that v2's stages were trained with; 0 for those that they have. */
function trainedWindows(config: Config, stages: number): readonly number[] {
  const key = 'pretrained_window_sizes';
  const sizes = perStage(config, key, new Array(stages).fill(0));
  const shown = shapeText(sizes);
  if (sizes.length < stages) throw wrongValue(where, key, 'as many numbers as "depths" has', shown);
  if (sizes.some((n) => n > LARGEST_WINDOW)) throw wrongValue(where, key, `sides of windows up to ${LARGEST_WINDOW}`, shown);
  return sizes;
}

interface LayerSizes {
  readonly width: number;
  readonly heads: number;
  readonly inner: number;
  readonly epsilon: number;
  readonly bias: boolean;
}

function swinPosition(
  tensors: Tensors,
  heads: number,
  window: number,
  shifted: { imageSize: Grid; shiftSize: number } | undefined,
): Position {
  return {
    name: 'swin',
    options: { windowSize: window, ...(shifted && { shifted }) },
    tables: { table: tensors.tensor('relative_position_bias_table', [(2 * window - 1) ** 2, heads]) },
    make: ({ table }) => swinEncoding({ windowSize: window, table: table as Float32Array, ...(shifted && { shifted }) }),
  };
}

function swin2Position(
  tensors: Tensors,
  heads: number,
  window: number,
  trained: number,
  shifted: { imageSize: Grid; shiftSize: number } | undefined,
): Position {
  const mlp = tensors.at('continuous_position_bias_mlp');
  const options = { windowSize: window, pretrainedWindowSize: trained, ...(shifted && { shifted }) };
  return {
    name: 'swinV2',
    options,
    tables: {
      logitScale: tensors.tensor('logit_scale', [heads], [heads, 1, 1]),
      weight1: mlp.tensor('0.weight', [UNITS, 2]),
      bias1: mlp.tensor('0.bias', [UNITS]),
      weight2: mlp.tensor('2.weight', [heads, UNITS]),
    },
    make: ({ logitScale, weight1, bias1, weight2 }) =>
      swinV2Encoding({
        ...options,
        logitScale: logitScale as Float32Array,
        weight1: weight1 as Float32Array,
        bias1: bias1 as Float32Array,
        weight2: weight2 as Float32Array,
      }),
  };
}

/** A layer of either version. */
function layerOf(block: Tensors, sizes: LayerSizes, config: Config, position: Position, second: boolean): Layer {
  const { width, heads, inner, epsilon, bias } = sizes;
  const tensors = block.at('attention.self');
  const of = (name: string, biased: boolean): Linear => tensors.linear(name, width, width, { bias: biased });
  const [first, last] = ['layernorm_before', 'layernorm_after'].map((name) => block.layerNorm(name, width, epsilon));
  const attended = attention({
    heads,
    headWidth: width / heads,
    query: of('query', bias),
    // v2's keys have no bias: it would change no cosine but for the sizes.
    key: of('key', bias && !second),
    value: of('value', bias),
    output: block.linear('attention.output.dense', width, width, { bias: true }),
    positions: [position],
    ...(second && { scale: 1 }),
  });
  const mlp = {
    activation: config.activation('hidden_act', 'gelu'),
    up: block.linear('intermediate.dense', width, inner, { bias: true }),
    down: block.linear('output.dense', inner, width, { bias: true }),
  };
  const place = second ? 'after' : 'before';
  return {
    attention: { ...attended, ...(first && { [place]: first }) },
    mlp: { ...mlp, ...(last && { [place]: last }) },
    parallel: false,
  };
}

function mergingOf(stage: Tensors, width: number, second: boolean): Merging {
  const linear = stage.linear('downsample.reduction', 4 * width, 2 * width);
  const norm = stage.layerNorm('downsample.norm', second ? 2 * width : 4 * width, EPSILON);
  return second ? { linear, after: norm } : { before: norm, linear };
}

/** Window and shift of layers where the side that counts has so many cells: one window that covers it is not shifted. */
function windowOf(cells: number, size: number): { readonly window: number; readonly shift: number } {
  return cells <= size ? { window: cells, shift: 0 } : { window: size, shift: Math.floor(size / 2) };
}

/**
 * Cells of the side by which a stage's windows are chosen. v1 takes the shorter one of the grid that there is; v2's original the rows alone, and of
 * those of the first grid what is left when each merging halves them and drops a half, although the grid keeps it.
 */
function decidingSide([rows, columns]: Grid, first: Grid, stage: number, second: boolean): number {
  if (!second) return Math.min(rows, columns);
  const left = Math.floor(first[0] / 2 ** stage);
  if (left === 0) throw wrongValue(where, 'image_size', `rows for a window of stage ${stage}`, `${first[0]} patches in a column`);
  return left;
}

/**
 * The blueprint of a checkpoint of Swin or Swin v2.
 *
 * @param given its config.json, parsed
 * @param index names and shapes of its tensors
 * @throws TypeError, RangeError that names the key or the tensor that is missing, of a wrong shape, or unknown
 */
export function visionOf(given: unknown, index: TensorIndex): VisionBlueprint {
  const config = new Config(given);
  const type = config.text('model_type');
  if (type !== 'swin' && type !== 'swinv2') throw wrongValue(where, 'model_type', '"swin" or "swinv2"', describe(type));
  config.only('quantization_config');
  const second = type === 'swinv2';
  const image = sideOf(config, 'image_size', 224);
  const [patch, other] = sideOf(config, 'patch_size', 4);
  if (patch !== other) throw wrongValue(where, 'patch_size', 'the same for both sides', [patch, other]);
  if (image.some((side) => side % patch)) throw wrongValue(where, 'image_size', `multiples of the patch of ${patch}`, [...image]);
  const channels = config.count('num_channels', 3);
  const first = config.count('embed_dim', 96);
  const depths = perStage(config, 'depths', [2, 2, 6, 2]);
  if (!depths.length || depths.includes(0)) throw wrongValue(where, 'depths', 'a number ≥ 1 for each stage', [...depths]);
  const heads = perStage(config, 'num_heads', [3, 6, 12, 24]);
  const trained = second ? trainedWindows(config, depths.length) : [];
  const epsilon = config.factor('layer_norm_eps', 1e-5);
  const ratio = config.factor('mlp_ratio', 4);
  const bias = config.flag('qkv_bias', true);
  const size = config.count('window_size', 7);
  const head = new Tensors(index);
  const weights = head.under(['', `${type}.`], 'embeddings.patch_embeddings.projection.weight');
  const whole: Grid = [image[0] / patch, image[1] / patch];
  let grid = whole;
  const positions = config.flag('use_absolute_embeddings', false);
  const projection = 'embeddings.patch_embeddings.projection';
  const stages = depths.map((depth, s) => {
    const width = first * 2 ** s;
    const { window, shift } = windowOf(decidingSide(grid, whole, s, second), size);
    const stage = weights.at(`encoder.layers.${s}`);
    const sizes = { width, heads: heads[s] as number, inner: Math.floor(ratio * width), epsilon, bias };
    if (!(sizes.heads > 0) || width % sizes.heads)
      throw wrongValue(where, `num_heads[${s}]`, `a divisor of ${width}`, describe(sizes.heads));
    const layers = Array.from({ length: depth }, (_, n): WindowLayer => {
      const block = stage.at(`blocks.${n}`);
      const tensors = block.at('attention.self');
      const own = n % 2 ? shift : 0;
      const shifted = own ? { imageSize: paddedGrid(grid, window), shiftSize: own } : undefined;
      const position = second
        ? swin2Position(tensors, sizes.heads, window, trained[s] ?? 0, shifted)
        : swinPosition(tensors, sizes.heads, window, shifted);
      return { layer: layerOf(block, sizes, config, position, second), window, shift: own };
    });
    const made = { grid, width, layers };
    if (s === depths.length - 1) return made;
    grid = mergedGrid(grid);
    return { ...made, merging: mergingOf(stage, width, second) };
  });
  const width = first * 2 ** (depths.length - 1);
  const labels = rowsOf(head, 'classifier.weight');
  return frozen({
    kind: 'images',
    family: 'swin',
    modelType: type,
    image,
    channels,
    patch,
    patches: weights.linear(projection, channels * patch * patch, first, { bias: true, stored: [first, channels, patch, patch] }),
    norm: weights.layerNorm('embeddings.norm', first, EPSILON),
    ...(positions && { positions: weights.tensor('embeddings.position_embeddings', [cellsOf(whole), first], [1, cellsOf(whole), first]) }),
    stages,
    lastNorm: weights.layerNorm('layernorm', width, epsilon),
    width,
    ...(labels && { classifier: classifierOf(config, 'mean', [{ linear: head.linear('classifier', width, labels, { bias: true }) }]) }),
  });
}
