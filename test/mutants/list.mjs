// Mutations: one wrong line each, of the kind that a tired hand writes. `find` must stand exactly once in `file`; `suites` are the tests that
// must notice. A mutation that changes nothing (an equivalent one) does not belong here.

const attention = ['test/attention', 'test/kvcache/splits.test.ts'];
const kernel = (name, file, find, replace, suites = attention) => ({ name, file: `assembly/${file}`, find, replace, suites });
const source = (name, file, find, replace, suites) => ({ name, file: `src/${file}`, find, replace, suites });

export const mutants = [
  // Softmax and its parts.
  kernel(
    'the sum of a row is not corrected for a new maximum',
    'softmax.ts',
    'f32x4.add(f32x4.mul(c, v128.load(group, R_SUM)), v128.load(group, R_SCALE))',
    'f32x4.add(v128.load(group, R_SUM), v128.load(group, R_SCALE))',
  ),
  kernel('no guard where a row has seen no key', 'softmax.ts', 'v128.andnot(m, f32x4.eq(m, none))', 'm'),
  kernel(
    'hidden probabilities are +0 and carry no mark',
    'softmax.ts',
    'hide(group, r, s, n, from, -0.0)',
    'hide(group, r, s, n, from, 0.0)',
  ),
  kernel(
    'keys before the first visible one are not hidden',
    'softmax.ts',
    'for (let j = 0; j < min(low, n); j++)',
    'for (let j = 0; j < min(low - 1, n); j++)',
  ),
  kernel(
    'the last key of a row is hidden',
    'softmax.ts',
    'for (let j = max(high, 0); j < n; j++)',
    'for (let j = max(high - 1, 0); j < n; j++)',
  ),
  kernel(
    'the second half of a row has no maximum',
    'softmax.ts',
    'm$rb = f32x4.pmax(m$rb, v128.load(s, $r * SCORES_ROW + 16))',
    'm$rb = m$rb',
  ),
  kernel(
    'a bias of −Infinity adds to a NaN',
    'softmax.ts',
    'v128.bitselect(hidden, f32x4.add(v128.load(s), f32x4.mul(c, x)), f32x4.eq(x, hidden))',
    'f32x4.add(v128.load(s), f32x4.mul(c, x))',
  ),
  kernel(
    'the last three entries of an index bias are left out',
    'softmax.ts',
    'for (; n > 0; n--, s += 4, index += 4) {',
    'for (; n > 3; n--, s += 4, index += 4) {',
  ),
  kernel(
    'lanes are added in another order',
    'simd.ts',
    'f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1))',
    'f32x4.add(x, v128.shuffle<f32>(x, x, 1, 0, 3, 2))',
    ['test/attention', 'test/contract', 'test/threads/kernels.test.ts', 'test/numerics'],
  ),
  kernel('an exponential ends at −127', 'exp.ts', 'const LOWEST: f32 = -100.0;', 'const LOWEST: f32 = -127.0;', [
    'test/numerics',
    'test/attention',
  ]),
  kernel('a coefficient of the exponential is off by some ulp', 'exp.ts', '0x4ae35774', '0x4ae35974', ['test/numerics', 'test/attention']),
  kernel('a coefficient of tanh is off', 'exp.ts', '0x3e088393', '0x3e088793', ['test/numerics', 'test/attention']),
  kernel('tanh loses its sign beyond the polynomial', 'exp.ts', 'v128.or(large, v128.and(x, sign))', 'large', [
    'test/numerics',
    'test/attention',
  ]),

  // Splits and records.
  kernel('the weights of a value table are not folded', 'fold.ts', 'if (size) blend(last ? w : W, W, w, size, a, c);', '', [
    'test/attention',
    'test/kvcache',
    'test/encodings/terms.test.ts',
  ]),
  kernel(
    'records keep no weights',
    'fold.ts',
    'if (size) memory.copy(record + RECORD_HEADER + width, weightsOf(job, scratch, r), size);',
    '',
    ['test/attention', 'test/kvcache', 'test/encodings/terms.test.ts'],
  ),
  kernel('weights are not begun anew', 'fold.ts', 'if (size) memory.fill(weightsOf(job, scratch, r), 0, size);', '', [
    'test/attention',
    'test/kvcache',
    'test/encodings/terms.test.ts',
  ]),
  kernel('the fold takes the smaller maximum', 'fold.ts', 'const top = M < m ? m : M;', 'const top = M < m ? M : m;', [
    'test/attention',
    'test/kvcache',
  ]),
  kernel('the fold loses the sum of the later keys', 'fold.ts', 'a * L + c * l', 'a * L + l', ['test/attention', 'test/kvcache']),
  kernel('a split without keys is folded', 'fold.ts', 'const a: f32 = L == 0 ? 0 : exp(M - top);', 'const a: f32 = exp(M - top);', [
    'test/attention',
    'test/kvcache',
  ]),

  // The end of a row.
  kernel('the sink is not in the denominator', 'finish.ts', 'l = c * l + exp(sink - top);', 'l = c * l;'),
  kernel('a sink above all scores rescales nothing', 'finish.ts', 'c = exp(m - top);', ''),
  kernel('an empty row with a sink is divided', 'finish.ts', 'if (top != -Infinity) {', 'if (true) {'),
  kernel('lse is log2', 'finish.ts', 'log(<f64>l)', 'log(<f64>l) * 1.4426950408889634', ['test/attention', 'test/partial']),
  kernel('lse of an empty row is 0', 'finish.ts', 'l == 0 ? -f32.POSITIVE_INFINITY', 'l == 0 ? <f32>0', ['test/attention', 'test/partial']),

  // Rows, ranges, masks.
  kernel(
    'a window begins one key late',
    'rows.ts',
    'let from = max(i + load<i32>(job, FIRST), 0);',
    'let from = max(i + load<i32>(job, FIRST) + 1, 0);',
  ),
  kernel('causal rows see one key more', 'rows.ts', 'load<i32>(job, LAST) + 1, keys)', 'load<i32>(job, LAST) + 2, keys)'),
  kernel('key lengths of another batch row', 'rows.ts', 'load<i32>(lengths + (b << 2))', 'load<i32>(lengths)', [
    'test/attention',
    'test/masks',
  ]),
  kernel(
    'the hole after the first interval is left open',
    'rows.ts',
    'let cursor = load<i32>(row, R_CURSOR) + 1; cursor < last',
    'let cursor = load<i32>(row, R_CURSOR) + 2; cursor < last',
    ['test/masks', 'test/attention'],
  ),
  kernel(
    'an interval that ends at the block is kept',
    'rows.ts',
    'load<i32>(pairs + (cursor << 3), 4) <= from) cursor++',
    'load<i32>(pairs + (cursor << 3), 4) < from) cursor++',
    ['test/masks', 'test/attention'],
  ),

  // Packing.
  kernel('keys beyond the last are read', 'pack.ts', 'j = min(j, end - 1);', '', ['test/memory', 'test/attention']),
  kernel('a page is found by the next position', 'pack.ts', '(j & ((1 << shift) - 1))', '((j + 1) & ((1 << shift) - 1))', ['test/kvcache']),
  kernel(
    'the last channels of a query are not scaled',
    'pack.ts',
    'store<f32>(packed, (load<f32>(q$r) + load<f32>(q$r + b$r)) * scale, 4 * $r);',
    'store<f32>(packed, load<f32>(q$r) + load<f32>(q$r + b$r), 4 * $r);',
  ),
  kernel('channels beyond E keep what was there', 'pack.ts', 'v128.store(at, f32x4.splat(0), 16);\n    for (; e < E', 'for (; e < E', [
    'test/attention',
    'test/memory',
  ]),
  kernel('key 7 of a panel is key 6', 'pack.ts', 'b, g, j + 4 * $h + $r, end, D)', 'b, g, j + 4 * $h + min($r, 2), end, D)'),
  kernel(
    'keys are not normalised',
    'pack.ts',
    'if (load<i32>(job, NORM)) from = normalizeRow(staged, from, load<usize>(job, NORM_K)',
    'if (false) from = normalizeRow(staged, from, load<usize>(job, NORM_K)',
    ['test/attention', 'test/encodings', 'test/golden.test.ts'],
  ),
  kernel(
    'ε of an RMS norm is outside of the root',
    'normalize.ts',
    'sqrt(squares / <f64>D + epsilon)',
    'sqrt(squares / <f64>D) + epsilon',
    ['test/attention', 'test/encodings', 'test/golden.test.ts', 'test/masks'],
  ),
  kernel('finite values are taken for granted', 'attend.ts', 'if (mark) allFrom = high;', 'if (mark) allFrom = low;', [
    'test/attention',
    'test/masks',
  ]),

  // Rotation.
  kernel(
    'the last pairs turn the other way',
    'rotate.ts',
    'x * load<f32>(cosines) - y * load<f32>(sines)',
    'x * load<f32>(cosines) + y * load<f32>(sines)',
    ['test/encodings', 'test/attention'],
  ),
  kernel(
    'halves of four turn the other way',
    'rotate.ts',
    'v128.store(to + apart, f32x4.add(f32x4.mul(x, sy), f32x4.mul(y, cy)));',
    'v128.store(to + apart, f32x4.sub(f32x4.mul(y, cy), f32x4.mul(x, sy)));',
    ['test/encodings', 'test/attention'],
  ),
  kernel('an inverse has the sine of the rotation', 'rotate.ts', '<f32>(sign * size * sin(angle))', '<f32>(size * sin(angle))', [
    'test/encodings',
    'test/attention',
    'test/examples.test.ts',
  ]),
  kernel(
    'channels before the first that turns are lost',
    'rotate.ts',
    'if (R < D) memory.copy',
    'if (R + 1 < D && start == 0) memory.copy',
    ['test/encodings', 'test/attention'],
  ),

  // Merging.
  kernel(
    'a merged sink counts twice',
    'merge.ts',
    'if (sink != -Infinity) sum += exp(sink - m);',
    'if (sink != -Infinity) sum += 2 * exp(sink - m);',
    ['test/partial'],
  ),
  kernel('one state is computed like many', 'merge.ts', 'if (live == 1) {', 'if (false) {', ['test/partial']),
  kernel('the maximum of the states is the last', 'merge.ts', 'if (l > m || l != l) m = l;', 'm = l;', ['test/partial']),

  // Conversion.
  kernel(
    'halves round down',
    'convert.ts',
    'i32x4.add(i32x4.add(size, i32x4.splat(0xc8000fff)), odd)',
    'i32x4.add(size, i32x4.splat(0xc8000000))',
    ['test/numerics', 'test/memory'],
  ),
  kernel('bfloat16 is cut off', 'convert.ts', 'i32x4.add(i32x4.add(x, odd), i32x4.splat(0x7fff))', 'x', ['test/numerics', 'test/memory']),
  kernel(
    'a bfloat16 NaN becomes Infinity',
    'convert.ts',
    'return v128.bitselect(rounded, i32x4.splat(0x7fc0), f32x4.eq(x, x));',
    'return rounded;',
    ['test/numerics', 'test/memory'],
  ),

  // Masks.
  source('an intersection takes the later end', 'masks/runs.ts', 'const to = Math.min(endA, endB);', 'const to = Math.max(endA, endB);', [
    'test/masks',
  ]),
  source('a complement forgets its end', 'masks/runs.ts', 'if (from < end) out.push(from, end);', '', ['test/masks']),
  source(
    'a chunk is one too long',
    'masks/bands.ts',
    'return run(from - left, from + size, keys);',
    'return run(from - left, from + size + 1, keys);',
    ['test/masks'],
  ),
  source('a neighbourhood is not moved inwards', 'masks/bands.ts', "border === 'shift' ?", "border === 'cut' ?", ['test/masks']),
  source('a shard takes intervals of the whole', 'masks/lower.ts', '(runs[n] as number) - keyOffset', '(runs[n] as number)', [
    'test/masks',
    'test/partial',
  ]),

  // Encodings.
  source('ALiBi takes every slope of 2n heads', 'encodings/alibi.ts', '(2 * (h - n) + 1)', '(h - n + 1)', [
    'test/encodings',
    'test/golden.test.ts',
  ]),
  source('T5 buckets of the right are those of the left', 'encodings/t5.ts', 'offset > 0 ? n : 0', 'offset < 0 ? n : 0', [
    'test/encodings',
    'test/golden.test.ts',
  ]),
  source('T5 rounds a bucket down by an ulp', 'encodings/t5.ts', '(n - exact) + WHOLE)', '(n - exact) - WHOLE)', ['test/encodings']),
];
