// Mutations of the kernels.
import { mutationsOf } from './make.mjs';

const kernel = mutationsOf('assembly');
const fused = mutationsOf('assembly', 'relaxed');
const int16 = mutationsOf('assembly', 'int16');
const rows = ['attention/masks', 'attention/logits'];
const shapes = ['attention/shapes'];
const exact = ['numerics/math', 'numerics/exp2'];
const stored = ['numerics/conversion'];
const tables = ['encodings/terms'];
const turned = ['attention/rotary'];
const merged = ['partial/merge'];
const counted = ['encodings/cope'];
const hidden = ['attention/hidden', 'attention/poison'];
const six = ['attention/six-rows'];

const softmax = [
  kernel(
    'the sum of a row is not corrected for a new maximum',
    'softmax.ts',
    'f32x4.add(f32x4.mul(c, v128.load(group, R_SUM)), v128.load(group, R_SCALE))',
    'f32x4.add(v128.load(group, R_SUM), v128.load(group, R_SCALE))',
    shapes,
  ),
  kernel('a NaN covers a bias that hides', 'softmax.ts', 'a = f32x4.pmin(a, v128.load(at))', 'a = f32x4.pmin(v128.load(at), a)', hidden),
  kernel('only the first row is asked for hidden keys', 'softmax.ts', 'someHidden(s, n, live)', 'someHidden(s, n, 1)', hidden),
  kernel('values count as finite unseen', 'attend.ts', 'start, end) ? YES : NO', 'start, end) ? YES : YES', hidden),
  kernel('no guard where a row has seen no key', 'softmax.ts', 'v128.andnot(m, f32x4.eq(m, none))', 'm', rows),
  kernel(
    'hidden probabilities are +0 and carry no mark',
    'softmax.ts',
    'hide(group, r, s, n, from, -0.0)',
    'hide(group, r, s, n, from, 0.0)',
    hidden,
  ),
  kernel('keys before the first visible one are not hidden', 'softmax.ts', 'j < min(low, n); j++', 'j < min(low - 1, n); j++', rows),
  kernel('the last key of a row is hidden', 'softmax.ts', 'let j = max(high, 0)', 'let j = max(high - 1, 0)', shapes),
  kernel(
    'the second half of a row has no maximum',
    'softmax.ts',
    'm$rb = f32x4.pmax(m$rb, v128.load(s, $r * SCORES_ROW + 16))',
    'm$rb = m$rb',
    ['attention/logits'],
  ),
  kernel(
    'a bias of −Infinity adds to a NaN',
    'softmax.ts',
    'v128.bitselect(hidden, f32x4.add(v128.load(s), f32x4.mul(c, x)), f32x4.eq(x, hidden))',
    'f32x4.add(v128.load(s), f32x4.mul(c, x))',
    hidden,
  ),
  kernel(
    'the last three entries of an index bias are left out',
    'softmax.ts',
    'for (; n > 0; n--, s += 4, index += 4) {',
    'for (; n > 3; n--, s += 4, index += 4) {',
    ['encodings/biases'],
  ),
  kernel(
    'a difference of sums loses what f32 leaves of them',
    'softmax.ts',
    'f32x4.add(f32x4.add(x, v128.load(row)), f32x4.add(small, v128.load(rest)))',
    'f32x4.add(x, v128.load(row))',
    ['encodings/score-terms'],
  ),
  kernel(
    'lanes are added in another order',
    'simd.ts',
    'f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1))',
    'f32x4.add(x, v128.shuffle<f32>(x, x, 1, 0, 3, 2))',
    [...exact, 'attention/logits'],
  ),
  kernel('an exponential ends at −127', 'exp.ts', 'const LOWEST: f32 = -100.0;', 'const LOWEST: f32 = -127.0;', exact),
  kernel('a coefficient of the exponential is off by some ulp', 'exp.ts', '0x4ae35774', '0x4ae35974', exact),
  kernel('a coefficient of tanh is off', 'exp.ts', '0x3e088393', '0x3e088793', exact),
  kernel('tanh loses its sign beyond the polynomial', 'exp.ts', 'v128.or(large, v128.and(x, sign))', 'large', exact),
];

const splits = [
  kernel('the weights of a value table are not folded', 'fold.ts', 'if (size) blend(last ? w : W, W, w, size, a, c);', '', [
    'kvcache/splits',
  ]),
  kernel(
    'records keep no weights',
    'fold.ts',
    'if (size) memory.copy(record + RECORD_HEADER + width, weightsOf(job, scratch, r), size);',
    '',
    ['kvcache/splits'],
  ),
  kernel('the fold takes the smaller maximum', 'fold.ts', 'const top = M < m ? m : M;', 'const top = M < m ? M : m;', ['kvcache/splits']),
  kernel('the fold loses the sum of the later keys', 'fold.ts', 'a * L + c * l', 'a * L + l', ['kvcache/splits']),
  kernel('a split without keys is folded', 'fold.ts', 'const a: f32 = L == 0 ? 0 : exp(M - top);', 'const a: f32 = exp(M - top);', [
    'kvcache/splits',
  ]),
  kernel('the last split of a tile is taken as one of the middle', 'attend.ts', 'end == high);', 'false);', ['kvcache/splits']),
  kernel(
    'a job with fewer keys than others is finished twice',
    'attend.ts',
    'if (step > 0 && from >= S) return;',
    'if (step > 0 && from > S + keys) return;',
    ['masks/packed'],
  ),
  kernel('a step takes a split more', 'attend.ts', 'last ? i32.MAX_VALUE : from + keys', 'i32.MAX_VALUE', ['kvcache/splits']),
  kernel(
    'a job of many begins a tile late',
    'many.ts',
    'load<i32>(starts + (<usize>middle << 2)) <= tile',
    'load<i32>(starts + (<usize>middle << 2)) < tile',
    ['masks/packed'],
  ),
];

const ends = [
  kernel(
    "the second of few rows has the first's scale",
    'values.ts',
    'width, scaleOfRow(group, r, low));',
    'width, scaleOfRow(group, 0, low));',
    ['attention/invariance'],
  ),
  kernel('the second of few rows has the scores of the first', 'scores.ts', 'scores1x32(q + (r << 2),', 'scores1x32(q,', [
    'attention/invariance',
  ]),
  kernel('channels past the last whole vector of a row stay unwritten', 'finish.ts', 'if (rest > 0)', 'if (rest > 3)', shapes),
  kernel('the sink is not in the denominator', 'finish.ts', 'l = c * l + exp(sink - top);', 'l = c * l;', ['attention/logits']),
  kernel('a sink above all scores rescales nothing', 'finish.ts', 'c = exp(m - top);', '', ['attention/logits']),
  kernel('an empty row with a sink is divided', 'finish.ts', 'if (top != -Infinity) {', 'if (true) {', ['attention/logits']),
  kernel('lse is log2', 'finish.ts', 'log(<f64>l)', 'log(<f64>l) * 1.4426950408889634', ['attention/logits']),
  kernel('lse of an empty row is 0', 'finish.ts', 'l == 0 ? -f32.POSITIVE_INFINITY', 'l == 0 ? <f32>0', rows),
];

const ranges = [
  kernel(
    'a window begins one key late',
    'rows.ts',
    'let from = max(i + load<i32>(job, FIRST), 0);',
    'let from = max(i + load<i32>(job, FIRST) + 1, 0);',
    rows,
  ),
  kernel('causal rows see one key more', 'rows.ts', 'load<i32>(job, LAST) + 1, keys)', 'load<i32>(job, LAST) + 2, keys)', rows),
  kernel('key lengths of another batch row', 'rows.ts', 'load<i32>(lengths + (b << 2))', 'load<i32>(lengths)', rows),
  kernel(
    'the hole after the first interval is left open',
    'rows.ts',
    'let cursor = load<i32>(row, R_CURSOR) + 1; cursor < last',
    'let cursor = load<i32>(row, R_CURSOR) + 2; cursor < last',
    ['masks/constructors'],
  ),
  kernel('finite values are taken for granted', 'attend.ts', '    allFrom = high;', '    allFrom = low;', hidden),
  kernel(
    'the values after those that all rows see are taken for finite',
    'attend.ts',
    'allFinite(v, column, width, max(allTo, from) - block, to - block)',
    'true',
    hidden,
  ),
];

const integers = [
  int16('rows are longer than their products have room for', 'quantise.ts', 'const NORM: f32 = 46300;', 'const NORM: f32 = 46500;', [
    'numerics/quantise',
  ]),
  int16('what rounding takes from a weight is lost', 'weights16.ts', 'b$r = after;', '', ['golden-int16']),
  int16('an output is scaled twice beside a key that goes by itself', 'weights16.ts', 'store<f32>(state, 1, R_SCALE);', '', [
    'golden-int16',
  ]),
  int16('hidden values that are NaN are added', 'weights16.ts', 'load<i32>(at) < 0) continue;', 'load<i32>(at) < -1 << 31) continue;', [
    'attention/poison',
  ]),
];

const packing = [
  kernel('keys beyond the last are read', 'pack.ts', 'j = min(j, end - 1);', '', ['memory/edge']),
  kernel('a page is found by the next panel', 'panels.ts', 'return j & ((1 << load', 'return (j + 8) & ((1 << load', ['kvcache/remove']),
  kernel('keys that turn are read where they lie', 'panels.ts', '!= 0 && !load<usize>(job, ROTATE_K)', '!= 0', ['kvcache/types']),
  int16('hidden rows of a cache that are NaN are not odd', 'panels.ts', 'type, scales, -0.0);', 'type, scales, f32.NaN);', [
    'kvcache/int16',
  ]),
  int16('rows of i8 are of any size', 'panels.ts', 'type == Q8 ? v128.or(nan', 'type == Q16 ? v128.or(nan', ['kvcache/int16']),
  int16('values of all pages are those of the first', 'panels.ts', 'columnAt(job, b, g, j));', 'columnAt(job, b, g, first));', [
    'kvcache/int16',
  ]),
  int16('the last of an odd number of values is lost', 'panels.ts', 'stop - j + 1 >> 1, 4', 'stop - j >> 1, 4', ['kvcache/int16']),
  int16('every page has the weights of the first', 'values16.ts', 'p += <usize>left << 2;', '', ['numerics/products16', 'kvcache/int16']),
  int16('panels of many rows are taken for i8', 'attend.ts', 'narrow = inPlace && load', 'narrow = load', ['kvcache/int16']),
  int16('keys of i8 are taken for i16', 'attend.ts', 'narrow = inPlace && load<i32>(job, K + T_TYPE) == Q8', 'narrow = false', [
    'kvcache/int16',
  ]),
  int16(
    'scales of a cache are those of the first page',
    'panels.ts',
    'scaleAt(job, pages, scales, b, g, j)',
    'scaleAt(job, pages, scales, b, g, first)',
    ['kvcache/int16'],
  ),
  kernel('rows of i8 below 2^−121 have steps too many', 'panels.ts', 'scale < LEAST ? LIFT : 1', 'scale < 0 ? LIFT : 1', ['kvcache/types']),
  kernel('the largest rows of i8 are infinite', 'convert.ts', 'min<f32>((top + NUDGE) / 127, LARGEST)', '(top + NUDGE) / 127', [
    'kvcache/types',
  ]),
  kernel('scales of subnormal rows of i8 are rounded down', 'convert.ts', '(top + NUDGE) / 127', 'top / 127', ['kvcache/types']),
  int16('keys of a cache are never needed in f32', 'panels.ts', ' && !load<i32>(job, TERM_COUNT)) return;', ') return;', ['kvcache/int16']),
  kernel('a tiny row of a cache of i16 is NaN', 'panels.ts', 'quantisedScale(row, n) < 1 ? 0', 'quantisedScale(row, n) < 0 ? 0', [
    'kvcache/int16',
  ]),
  kernel('panels of integers lie one channel further', 'panels.ts', 'if (D & 1) to -= 32;', '', ['kvcache/types']),
  kernel('both keys of a pair have the scale of the first', 'panels.ts', 'load32_splat(scales + 4)', 'load32_splat(scales)', [
    'kvcache/types',
  ]),
  kernel(
    'every run of a block scales the output',
    'values.ts',
    '(group, R_FROM) >= low ? v128.load(',
    '(group, R_FROM) >= 0 ? v128.load(',
    ['kvcache/types'],
  ),
  kernel(
    'the last channels of a query are not scaled',
    'pack.ts',
    'store<f32>(packed, (load<f32>(q$r) + load<f32>(q$r + b$r)) * scale, 4 * $r);',
    'store<f32>(packed, load<f32>(q$r) + load<f32>(q$r + b$r), 4 * $r);',
    shapes,
  ),
  kernel('key 7 of a panel is key 6', 'pack.ts', 'b, g, j + slot + $r, end, D)', 'b, g, j + min(slot + $r, 6), end, D)', shapes),
  kernel(
    'keys are not normalised',
    'pack.ts',
    'if (load<i32>(job, NORM)) from = normalizeRow(staged, from, load<usize>(job, NORM_K)',
    'if (false) from = normalizeRow(staged, from, load<usize>(job, NORM_K)',
    ['masks/weights'],
  ),
  kernel('rows of a batch share the scale of the first', 'pack.ts', 'b * load<i32>(job, ROW_SCALE_BATCH) + (i << 2)', '(i << 2)', [
    'encodings/score-terms',
  ]),
  kernel(
    'a turned row is not scaled',
    'pack.ts',
    'return scale ? scaleRow(own, own, factorOf(job, scale, b, i), D) : own;',
    'return own;',
    ['encodings/score-terms'],
  ),
  kernel(
    'ε of an RMS norm is outside of the root',
    'normalize.ts',
    'sqrt(squares / <f64>D + epsilon)',
    'sqrt(squares / <f64>D) + epsilon',
    ['masks/weights'],
  ),
  kernel('an appended row takes the next place', 'append.ts', 'storeValue(job, b, g, j, row)', 'storeValue(job, b, g, j ^ 1, row)', [
    'kvcache/types',
  ]),
];

const turning = [
  kernel(
    'the last pairs turn the other way',
    'rotate.ts',
    'x * load<f32>(cosines) - y * load<f32>(sines)',
    'x * load<f32>(cosines) + y * load<f32>(sines)',
    turned,
  ),
  kernel(
    'halves of four turn the other way',
    'rotate.ts',
    'v128.store(target + apart, f32x4.add(f32x4.mul(x, s), f32x4.mul(y, c)));',
    'v128.store(target + apart, f32x4.sub(f32x4.mul(y, c), f32x4.mul(x, s)));',
    turned,
  ),
  kernel('an inverse has the sine of the rotation', 'rotate.ts', '<f32>(sign * size * sin(angle))', '<f32>(size * sin(angle))', turned),
  kernel('pairs that become halves in place are turned where they are', 'rotate.ts', '(from != to || stays)', 'true', [
    'attention/rotation-terms',
  ]),
  kernel('channels beyond whole turns are turned as pairs of others', 'rotate.ts', 'D % 8 == 0', 'D % 4 == 0', turned),
  kernel('heads that go together share a table', 'rotate.ts', '(tableHead == 0 || shared == 1)', 'true', ['attention/rotation-terms']),
  kernel(
    'heads that go together turn by the angles of the first head',
    'rotate.ts',
    'turnRows(y, toHead, x, fromHead, own, tableHead,',
    'turnRows(y, toHead, x, fromHead, own, 0,',
    ['attention/rotation-terms'],
  ),
  kernel('every block turns by the angles of the first', 'rotate.ts', '    table += size;', '', ['attention/rotation-terms']),
  kernel(
    'channels before the first that turns are lost',
    'rotate.ts',
    'if (R < D && to != from) memory.copy',
    'if (R + 1 < D && start == 0) memory.copy',
    ['encodings/rotary-axes', 'encodings/rotary-properties', 'encodings/rotary-golden'],
  ),
];

const terms = [
  kernel(
    'a factor is added',
    'biases.ts',
    'if (load<i32>(entry, A_MULTIPLY)) multiplyRow(s, line, keys);',
    'if (load<i32>(entry, A_MULTIPLY)) addRow(s, line, keys, 1);',
    ['encodings/score-terms'],
  ),
  kernel('a gate of another batch row', 'biases.ts', '((b * H + h) * load<i32>(job, DIM_L) + i)', '(h * load<i32>(job, DIM_L) + i)', [
    'golden',
  ]),
  kernel('a bias reaches one query further', 'biases.ts', 'i <= load<i32>(entry, A_LAST)', 'i <= load<i32>(entry, A_LAST) + 1', [
    'encodings/score-terms',
  ]),
  kernel('later biases lift what an earlier one hides', 'adjust.ts', 'if (biases > 1 && load<i32>(job, MARK))', 'if (false)', hidden),
  kernel('the last four of a curve are left out', 'curve.ts', 'if (n <= 0) return;', 'return;', [
    'attention/biases',
    'encodings/score-terms',
  ]),
  kernel(
    'a window of a term begins too late',
    'terms.ts',
    'load<i32>(at, R_FROM) - load<i32>(at, R_QUERY) - 3);',
    'load<i32>(at, R_FROM) - load<i32>(at, R_QUERY));',
    tables,
  ),
  kernel('the last query of a group misses its first panel', 'terms.ts', 'at + 10 >= from', 'at + 7 >= from', tables),
  kernel('heads of a band share one table', 'terms.ts', 'R_QUERY) == i + 4 * run', 'R_QUERY) >= 0', tables),
  kernel('a term stands one key too far left for later queries', 'offsets.ts', 'SCORES_ROW + 4;', 'SCORES_ROW;', tables),
  kernel('queries read the diagonals of others', 'offsets.ts', 'p$h3, p$h5, 0, 1, 6, 7', 'p$h2, p$h5, 0, 1, 6, 7', tables),
  kernel(
    'the weights of a value table are not corrected',
    'terms.ts',
    'f32x4.mul(v128.load(at), c));\n    const index',
    'v128.load(at));\n    const index',
    ['kvcache/splits'],
  ),
];

const contextual = [
  kernel('positions go beyond the table', 'context.ts', 'const p = min(sum, <f64>last);', 'const p = sum;', counted),
  kernel('a position is rounded down', 'context.ts', 'const w = <f32>(p - <f64>n);', 'const w: f32 = 0;', counted),
  kernel('blocks count anew', 'context.ts', 'store<f64>(countOf(job, scratch, r, block - KEY_BLOCK), sum);\n    if', 'if', counted),
  kernel(
    'hidden keys open their gates',
    'context.ts',
    'if (load<usize>(job, MASK_ROWS)) punchHoles(job, row, gates, b, from, keys);',
    '',
    counted,
  ),
  kernel('biases that hide leave gates open', 'context.ts', 'if (load<i32>(job, MARK)) hideEntries', 'if (false) hideEntries', counted),
  kernel('gates see scores without their cap', 'context.ts', 'if (cap != 0) softcap(s, keys, cap);', '', counted),
  kernel('a mask is not rewound after the count', 'attend.ts', '  if (masked) rewindMask(call, scratch, b, rows);', '', counted),
];

const merging = [
  kernel('a merged sink counts twice', 'merge.ts', 'sum += exp(sink - m);', 'sum += 2 * exp(sink - m);', merged),
  kernel('one state is computed like many', 'merge.ts', 'if (live == 1) {', 'if (false) {', merged),
  kernel('the maximum of the states is the last', 'merge.ts', 'if (l > m || l != l) m = l;', 'm = l;', merged),
];

const conversion = [
  kernel(
    'halves round down',
    'convert.ts',
    'i32x4.add(i32x4.add(size, i32x4.splat(0xc8000fff)), odd)',
    'i32x4.add(size, i32x4.splat(0xc8000000))',
    stored,
  ),
  kernel('bfloat16 is cut off', 'convert.ts', 'i32x4.add(i32x4.add(x, odd), i32x4.splat(0x7fff))', 'x', stored),
  kernel(
    'a bfloat16 NaN becomes Infinity',
    'convert.ts',
    'return v128.bitselect(rounded, i32x4.splat(0x7fc0), f32x4.eq(x, x));',
    'return rounded;',
    stored,
  ),
  kernel('a row of a cache of bytes is scaled to 128', 'convert.ts', '(top + NUDGE) / 127, LARGEST', '(top + NUDGE) / 128, LARGEST', [
    'kvcache/types',
  ]),
];

const sixes = [
  fused(
    'rows by six: the second tile has the first half of the middle group',
    'scores.ts',
    'two = queries + size + 8;',
    'two = queries + size;',
    six,
  ),
  fused('rows by six: keys of the neighbours keep their scores', 'values.ts', 'first, end, -0.0);', '0, end, -0.0);', six),
  fused('rows by six: the end of the keys too', 'values.ts', 'to - from, first, end,', 'to - from, first, to,', six),
  fused("rows by six: a row has the scale of its group's first", 'values.ts', 'group + ((r & 3) << 2), R_SCALE)', 'group, R_SCALE)', six),
];

export const kernels = [
  ...softmax,
  ...splits,
  ...ends,
  ...ranges,
  ...integers,
  ...packing,
  ...turning,
  ...terms,
  ...contextual,
  ...merging,
  ...conversion,
  ...sixes,
];
