// Mutations of layers that go row by row, and of their kernels.
import { mutationsOf } from './make.mjs';

const kernel = mutationsOf('assembly/nn', 'nn');
const layer = mutationsOf('src/nn');
const norms = ['nn/norm'];
const acts = ['nn/activations'];
const rows = ['nn/rows'];
const tables = ['nn/embedding'];
const called = ['nn/layers'];
const heads = ['nn/multi-head-attention'];
const starved = ['nn/failing'];

const activations = [
  kernel(
    'e^x loses the lower part of ln 2',
    'activations.ts',
    'f32x4.sub(f32x4.sub(x, f32x4.mul(n, held(LN2_HIGH, zero))), f32x4.mul(n, held(LN2_LOW, zero)))',
    'f32x4.sub(x, f32x4.mul(n, held(LN2_HIGH, zero)))',
    acts,
  ),
  kernel('gelu is not held where its tail ends', 'activations.ts', 'f32x4.pmin(f32x4.abs(x), held(FAR, zero))', 'f32x4.abs(x)', acts),
  kernel('−Infinity times 0', 'activations.ts', 'f32x4.pmax(x, held(-1e30, zero))', 'x', acts),
  kernel('tanh has no sign', 'activations.ts', 'v128.or(size, v128.and(x, held(-0.0, zero)))', 'size', acts),
  kernel('relu loses a NaN', 'activations.ts', 'return f32x4.pmax(x, held(0, zero));', 'return f32x4.pmax(held(0, zero), x);', acts),
  kernel('quick gelu has the factor of another', 'activations.ts', 'const QUICK: f32 = 1.702;', 'const QUICK: f32 = 1.7;', acts),
];

const lines = [
  kernel('the last lane of a row of three is not written', 'lanes.ts', 'if (left > 2) v128.store_lane<i32>(at, x, 2, 8);', '', norms),
  kernel(
    'what lies behind a row counts',
    'lanes.ts',
    'if (left > 2) x = v128.load_lane<i32>(at, x, 2, 8);',
    'x = v128.load_lane<i32>(at, x, 2, 8);',
    norms,
  ),
  kernel('NaNs keep their payload', 'lanes.ts', 'if (left >= 4) v128.store(at, canonical(x));', 'if (left >= 4) v128.store(at, x);', norms),
];

const norm = [
  kernel('the mean is not corrected', 'norm.ts', 'scale(to, x, n, mean, correction,', 'scale(to, x, n, mean, 0,', norms),
  kernel('the variance is not corrected', 'norm.ts', ' - <f64>correction * <f64>correction', '', norms),
  kernel('ε is left out of layer norm', 'norm.ts', 'sqrt(variance + epsilon)', 'sqrt(variance)', norms),
  kernel('rows of length 1 are averaged', 'norm.ts', 'max(sqrt(q), epsilon)', 'max(sqrt(q / <f64>n), epsilon)', norms),
  kernel('the offset of weights is forgotten', 'norm.ts', 'f32x4.add(v128.load(weight + at), o)', 'v128.load(weight + at)', norms),
  kernel('the second head is the first', 'norm.ts', ' + h * load<i32>(job, NORM_X_HEAD)', '', norms),
  kernel('the sum is of the row alone', 'norm.ts', 'x = total;', '', norms),
  kernel('the third vector of sixteen is the second', 'norm.ts', 'u = v128.load(x, 32)', 'u = v128.load(x, 16)', norms),
];

const embedding = [
  kernel('positions begin at 0', 'embedding.ts', 'load<i32>(source, SOURCE_FIRST) + r', 'r', tables),
  kernel('types are scaled too', 'embedding.ts', 's == 0 ? load<f32>(job, EMBED_SCALE) : 1', 'load<f32>(job, EMBED_SCALE)', tables),
  kernel('the later table takes the place of the sum', 'embedding.ts', 's == 0 ? x : f32x4.add(v128.load(to + at), x)', 'x', tables),
  kernel('channels of a panel are one', 'embedding.ts', 'panel + PANEL_HEADER + (channel << 2)', 'panel + PANEL_HEADER', tables),
  kernel('high halves of bytes have their sign', 'embedding.ts', 'i8x16.shr_u(pairs, 4)', 'i8x16.shr_s(pairs, 4)', tables),
];

const others = [
  kernel('the last row of a text is that of the next', 'pool.ts', 'from += count - 1', 'from += count', rows),
  kernel('weighted rows count from 0', 'pool.ts', '<f32>(i + 1) : 1', '<f32>i : 1', rows),
  kernel('the largest is at least 0', 'pool.ts', 'kind == POOL_MAX ? -Infinity : 0', '0', rows),
  kernel('a sum is a mean', 'pool.ts', 'kind == POOL_MAX || kind == POOL_SUM', 'kind == POOL_MAX', rows),
  kernel('a text without rows keeps what was there', 'pool.ts', 'memory.fill(to, 0, <usize>n << 2);', '', rows),
  kernel('probabilities are summed in f32 to the end', 'softmax.ts', 'const BLOCK: i32 = 512;', 'const BLOCK: i32 = 0x40000000;', rows),
  kernel('the temperature is not of the largest', 'softmax.ts', 'largest(x, n) / divisor', 'largest(x, n)', rows),
  kernel(
    'of equal ones the last comes first',
    'top.ts',
    'key == otherKey && index > otherIndex',
    'key == otherKey && index < otherIndex',
    rows,
  ),
  kernel('−0 is less than 0', 'top.ts', 'canonical(f32x4.add(x, f32x4.splat(0)))', 'canonical(x)', rows),
  kernel('equal ones push out', 'top.ts', 'if (key > load<i32>(values)) sift', 'if (key >= load<i32>(values)) sift', rows),
  kernel(
    'a piece is a number short',
    'elementwise.ts',
    'const n = min(MAP_PIECE, width - done);',
    'const n = min(MAP_PIECE, width - done - 1);',
    acts,
  ),
  kernel('a limit holds what is large alone', 'elementwise.ts', 'f32x4.min(f32x4.max(x, least), most)', 'f32x4.min(x, most)', acts),
];

const layers = [
  layer('x may be overwritten while it is the sum', 'norm.ts', 'sum && sameElements(sum, input) ? [] : [input]', '[input]', called),
  layer('the sum may meet what is read', 'layer.ts', 'if (low < to && from < high) throw', 'if (low < from && from < high) throw', called),
  layer(
    'the last id is refused',
    'embedding.ts',
    "copyIntegers(where, 'ids', ids, 0, (this.#table.shape[0] as number) - 1)",
    "copyIntegers(where, 'ids', ids, 0, (this.#table.shape[0] as number) - 2)",
    called,
  ),
  layer(
    'ids may be one too many',
    'embedding.ts',
    "copyIntegers(where, 'ids', ids, 0, (this.#table.shape[0] as number) - 1)",
    "copyIntegers(where, 'ids', ids, 0, this.#table.shape[0] as number)",
    called,
  ),
  layer('a table is not kept', 'embedding.ts', 'return () => this.hold(tensor.slice());', 'return () => tensor;', called),
  layer('indices are lost with the call', 'softmax.ts', 'scope.defer(indices.pin());', 'scope.own(indices);', called),
  layer('values begin where keys do', 'multi-head-attention.ts', 'heads(all, own, G, E, kv + G * D)', 'heads(all, own, G, E, kv)', heads),
  layer('keys of a memory have the queries’ bias', 'projection.ts', 'this.#bias.pointer + 4 * from', 'this.#bias.pointer', heads),
  layer('keys do not begin a panel', 'multi-head-attention.ts', '{ ...key, apart: true }', 'key', heads),
  layer(
    'a block of a layer that cannot be made is not given back',
    'projection.ts',
    '      this.#bias?.dispose();\n      scope.release();\n      throw error;',
    '      scope.release();\n      throw error;',
    starved,
  ),
  layer('a cache keeps what failed', 'multi-head-attention.ts', 'attention?.release(true);', '', starved),
  layer(
    'a call that ran leaves the cache as it was',
    'multi-head-attention.ts',
    '      attention.finish();\n      failed = false;\n      return out;\n    } finally {\n      attention.release(failed);\n    }\n  }\n\n  #call',
    '      failed = false;\n      return out;\n    } finally {\n      attention.release(failed);\n    }\n  }\n\n  #call',
    heads,
  ),
];

export const layerMutants = [...activations, ...lines, ...norm, ...embedding, ...others, ...layers];
