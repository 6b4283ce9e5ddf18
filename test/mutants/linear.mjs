// Mutations of linear layers.
import { mutationsOf } from './make.mjs';

const kernel = mutationsOf('assembly/nn', 'nn');
const source = mutationsOf('src/nn');
const alone = ['nn/linear-kernels'];
const whole = ['nn/linear'];
const called = ['nn/linear-calls'];

export const linear = [
  kernel('a row of three is packed as one of two', 'linear32.ts', 'x2 = rows > 2 ? x1 + row : x0', 'x2 = rows > 3 ? x1 + row : x0', whole),
  kernel(
    'the last three numbers of a row are not packed',
    'linear32.ts',
    'for (; n > 0; n--, at += 4, to += 16)',
    'for (; n > 3; n--, at += 4, to += 16)',
    whole,
  ),
  kernel('halves that are not finite count as finite', 'linear32.ts', 'i16x8.splat(<i16>0xf800)', 'i16x8.splat(<i16>0xfc00)', whole),
  kernel(
    'a row of one has the scale of its channels twice',
    'linear8.ts',
    'v128.store(s, scaled(a, v128.load(panel), c)), v128.store(s, scaled(b, v128.load(panel, 16), c), 16);',
    'v128.store(s, scaled(a, v128.load(panel), c)), v128.store(s, scaled(b, v128.load(panel), c), 16);',
    whole,
  ),
  kernel(
    'what is left of three quads is left out',
    'linear8.ts',
    'for (; left > 0; left--, q += 16, p += 16, w += 32)',
    'for (; left > 3; left--, q += 16, p += 16, w += 32)',
    whole,
  ),
  kernel('the second four of eight rows are the first', 'linear8.ts', 'p = x + (<usize>quads << 4), left', 'p = x, left', whole),
  kernel('the second of two rows has the scale of the first', 'linear.ts', 'LINEAR_S_SCALES) + (m << 2);', 'LINEAR_S_SCALES);', whole),
  kernel('six products pass 16 bits', 'pack.ts', 't / MOST_OF_SIX > scale)', 't / MOST_OF_SIX > 1.1 * scale)', whole),
  kernel('twelve numbers begin late', 'pack.ts', 'for (let n = min(K, 12); n > 0;', 'for (let n = min(K, 12); n > 4;', alone),
  kernel('gelu of integers is that of half the number', 'activations.ts', 'f32x4.div(t, f32x4.mul(p, p)))', 'f32x4.div(t, p))', whole),
  kernel(
    'half bytes of one row meet the numbers of another place',
    'linear4.ts',
    '0, 2, 4, 6, 1, 3, 5, 7',
    '0, 2, 4, 6, 1, 5, 3, 7',
    whole,
  ),
  kernel(
    'a block of half bytes has the scale of the first',
    'linear4.ts',
    'for (let left = blocks; left > 0; left--, x += 8 * BLOCK, w += 16 * BLOCK, p += BLOCK_BYTES) {',
    'for (let left = blocks; left > 0; left--, x += 8 * BLOCK, w += 16 * BLOCK) {',
    whole,
  ),
  kernel(
    'integers are rounded at half a unit below 0',
    'quantise.ts',
    'export const MAGIC: f32 = 12582912;',
    'export const MAGIC: f32 = 8388608;',
    alone,
  ),
  kernel(
    'a NaN is not the largest of a row',
    'quantise.ts',
    'm = i32x4.max_s(m, f32x4.abs(v128.load(row)));',
    'm = f32x4.pmax(m, f32x4.abs(v128.load(row)));',
    alone,
  ),
  kernel(
    'an Infinity has a scale',
    'quantise.ts',
    'size >= INFINITE ? f32.NaN : dead ? 0 : m / top);\n  const end = to + <usize>(padded >> 2)',
    'size > INFINITE ? f32.NaN : dead ? 0 : m / top);\n  const end = to + <usize>(padded >> 2)',
    alone,
  ),
  kernel('what is beyond a row is not 0', 'quantise.ts', 'for (; to < end; to += step) store<i32>(to, 0);', '', alone),
  kernel('the sum of a channel loses what is left of four', 'pack.ts', '      sum += x;\n', '', alone),
  kernel(
    'a number of a block may be 8',
    'pack.ts',
    'min(roundOf(load<f32>(row + (<usize>k << 2)), c), 7) + 8',
    'roundOf(load<f32>(row + (<usize>k << 2)), c) + 8',
    alone,
  ),
  kernel('the largest of a block is the last of its size', 'pack.ts', 'return load<f32>(row);\n}', 'return abs(load<f32>(row));\n}', alone),
  kernel('rows of a piece are counted from the start', 'pack.ts', '<usize>(n - first) * stride', '<usize>n * stride', alone),
  kernel(
    'a tile begins a slice late',
    'linear.ts',
    'first = tile % slices * most;',
    'first = min(all - 1, tile % slices * most + 1);',
    alone,
  ),
  kernel(
    'a gate is met with its own bias',
    'finish.ts',
    'if (gated) addBias(up, rows, bias + (<usize>n << 3) + 32);',
    'if (gated) addBias(up, rows, bias + (<usize>n << 3));',
    whole,
  ),
  kernel(
    'a residual is left out where channels end within a panel',
    'finish.ts',
    'if (residual) a += load<f32>(residual + at);',
    '',
    whole,
  ),
  kernel('NaN keeps the sign that the host gives it', 'finish.ts', 'if (anyNaN(a, b)) a = canonical(a), b = canonical(b);', '', whole),
  kernel(
    'a row of the residual stays for all',
    'finish.ts',
    'a = f32x4.add(a, v128.load(residual)), b = f32x4.add(b, v128.load(residual, 16));',
    'a = f32x4.add(a, v128.load(residual)), b = f32x4.add(b, v128.load(residual));',
    whole,
  ),
  source('rows of what is gated are packed over those of the gate', 'weights.ts', 'to.pointer + (up ? size : 0)', 'to.pointer', whole),
  source(
    'the last rows of a piece have no tile',
    'weights.ts',
    'Math.ceil((first + count) / field.PANEL) - Math.floor(first / field.PANEL);',
    'Math.floor((first + count) / field.PANEL) - Math.floor(first / field.PANEL);',
    whole,
  ),
  source(
    'scratch for the sums of a gate alone',
    'linear-stage.ts',
    '4 * field.PANEL * whole * (gated ? 2 : 1)',
    '4 * field.PANEL * whole',
    whole,
  ),
  source(
    'a bias keeps the order of the rows',
    'linear.ts',
    'Math.floor(channel / field.PANEL) * parts + part',
    'Math.floor(n / field.PANEL)',
    whole,
  ),
  source('rows at two distances pass for rows at one', 'rows.ts', 'else if (own !== expected) return undefined;', '', [
    'nn/layers',
    'nn/linear-calls',
  ]),
  source(
    'the kernels are added to an engine each time',
    'module.ts',
    'return MODULES.get(memory) ?? keep(memory, added());',
    'return keep(memory, added());',
    called,
  ),
  source('an out that is the input of the call', 'linear.ts', "const reads: Read[] = [['x', x]];", 'const reads: Read[] = [];', called),
];
