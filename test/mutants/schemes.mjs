// Mutations of schemes, of rotary frequencies, and of what reads configs, ONNX nodes and files.
import { mutationsOf } from './make.mjs';

const source = mutationsOf('src');
const formulas = ['encodings/biases'];
const windows = ['encodings/windows'];
const scores = ['encodings/score-terms'];
const models = ['encodings/huggingface', 'encodings/rotary-cases'];
const scaling = ['encodings/rotary-scaling'];
const rules = ['onnx/rules'];
const backend = ['onnx/backend'];
const nodesOf = ['onnx/random', ...backend, ...rules, 'onnx/corners'];
const files = ['cli/safetensors'];

const biases = [
  source('ALiBi takes every slope of 2n heads', 'encodings/alibi.ts', '(2 * (h - n) + 1)', '(h - n + 1)', ['encodings/slopes']),
  source('T5 buckets of the right are those of the left', 'encodings/t5.ts', 'offset > 0 ? n : 0', 'offset < 0 ? n : 0', [
    'encodings/buckets',
    ...formulas,
  ]),
  source('T5 rounds a bucket down by an ulp', 'encodings/t5.ts', '(n - exact) + WHOLE)', '(n - exact) - WHOLE)', ['encodings/buckets']),
  source('KERPLE scales 1 as well', 'encodings/kerple.ts', 'math.log(1 + a * distance)', 'math.log(a + a * distance)', formulas),
  source(
    "KERPLE's weight grows",
    'encodings/kerple.ts',
    'math.exp(-power(p, a, distance, math))',
    'math.exp(power(p, a, distance, math))',
    scores,
  ),
  source('FIRE adds its threshold', 'encodings/fire.ts', 'Math.max(threshold, i)', 'threshold + Math.max(0, i)', formulas),
  source('Sandwich counts heads from 0', 'encodings/sandwich.ts', '(8 * (h + 1))', '(8 * Math.max(1, h))', formulas),
  source('forgetting goes on from row to row', 'encodings/forgetting.ts', '(n % T ? sum : 0)', 'sum', scores),
  source("WavLM's gate is without its 1", 'encodings/wavlm.ts', '(constant[h] as number) - 1)', '(constant[h] as number))', formulas),
  source('CPM-Ant has offsets the other way', 'encodings/cpmant.ts', 'map[zero + offset] =', 'map[zero - offset] =', formulas),
  source('MPNet has the buckets of a decoder', 'encodings/mpnet.ts', 'bidirectional: true', 'bidirectional: false', formulas),
  source('LayoutLMv3 reads the top of a box', 'encodings/layoutlmv3.ts', 'const BOTTOM = 3;', 'const BOTTOM = 1;', formulas),
  source(
    'a network of distances is not antisymmetric',
    'encodings/dynamic-position-bias.ts',
    'Math.sign(x) * math.log(Math.abs(x) + 1)',
    'math.log(Math.abs(x) + 1)',
    [...formulas, 'golden'],
  ),
];

const grids = [
  source("Swin v2's logits have no limit", 'encodings/swinv2.ts', 'math.exp(Math.min(x, math.log(LARGEST_FACTOR)))', 'math.exp(x)', [
    'golden',
    ...windows,
  ]),
  source("Swin v2's coordinates run to 7", 'encodings/relposmlp.ts', 'const SPAN = 8;', 'const SPAN = 7;', ['golden', ...windows]),
  source('LeViT does not thin its columns', 'encodings/levit.ts', '=== 0 && (n % w) % stride === 0', '=== 0', ['golden', ...windows]),
  source(
    'MaxViT has query minus key',
    'encodings/maxvit.ts',
    '{ rows: complements, columns: codes }',
    '{ rows: codes, columns: complements }',
    windows,
  ),
  source(
    "BEiT's class token meets itself as a patch",
    'encodings/beit.ts',
    'P + Math.floor(n / P) - 1)',
    'P + Math.min(1, Math.floor(n / P) - 1))',
    windows,
  ),
  source(
    'decomposed offsets are rounded',
    'encodings/decomposed.ts',
    'Math.trunc(fround(fround(y - x) + last))',
    'Math.round(fround(fround(y - x) + last))',
    ['golden', 'encodings/terms'],
  ),
  source(
    'a row of patches is as long as the grid is high',
    'encodings/axial-rotary.ts',
    'const i = Math.floor(cell / step) % n;',
    'const i = Math.floor(cell / n) % n;',
    ['encodings/rotary-axes'],
  ),
  source('centres of cells are their beginnings', 'encodings/axial-rotary.ts', '(2 * (i + 0.5)) / n - 1', '(2 * i) / n - 1', [
    'encodings/rotary-axes',
    'encodings/rotary-config',
  ]),
];

const terms = [
  source(
    'Shaw looks further left',
    'encodings/shaw.ts',
    'Math.max(-left, Math.min(right, offset)) + left',
    'Math.min(right, Math.max(-left - 1, offset)) + left',
    ['encodings/terms'],
  ),
  source('XPos has another beginning', 'encodings/xpos.ts', '(2 * i + 0.4 * width)', '(2 * i + 0.5 * width)', ['encodings/rotary-axes']),
  source(
    'sinusoids of the key minus the query',
    'encodings/sinusoidal.ts',
    'Math.max(-k, Math.min(k, -offset)) + k',
    'Math.max(-k, Math.min(k, offset)) + k',
    ['encodings/window'],
  ),
  source('an angle of half a turn less', 'encodings/distance.ts', '(Math.PI * x) / given.window', '(Math.PI * x) / (given.window + 1)', [
    'encodings/window',
  ]),
  source(
    "DeBERTa's buckets are rounded down",
    'encodings/deberta.ts',
    'Math.ceil(ratio * (mid - 1) - 1e-9)',
    'Math.floor(ratio * (mid - 1) - 1e-9)',
    ['encodings/buckets', 'golden'],
  ),
  source(
    'Transformer-XL begins one row early',
    'encodings/transformer-xl.ts',
    'row: (offset) => height - 1 + offset',
    'row: (offset) => height - 2 + offset',
    ['golden', 'encodings/terms'],
  ),
  source('XLNet takes all segments for the same', 'encodings/transformer-xl.ts', 'pair % n ? 0 : 1', 'pair % n ? 0 : 0', [
    'golden',
    'encodings/terms',
  ]),
  source(
    'a query scale has steps of one position less',
    'encodings/query-scale.ts',
    '(p + start) / interval',
    '(p + start + 1) / interval',
    scores,
  ),
  source('positions are joined to another token', 'encodings/concat-positions.ts', 'rows[token % rows.length]', 'rows[0]', [
    'encodings/concat-positions',
  ]),
  source(
    'interleaved sections end one pair early',
    'encodings/mrope.ts',
    'i < sections.length * (sections[section] as number) ?',
    'i < sections.length * (sections[section] as number) - sections.length ?',
    ['encodings/rotary-axes'],
  ),
];

const frequencies = [
  source(
    'a dynamic base grows from the first position',
    'rope/rope-scaling.ts',
    'if (length <= trained) return',
    'if (length < 0) return',
    scaling,
  ),
  source(
    'a dynamic base grows by the factor alone',
    'rope/rope-scaling.ts',
    '(factor * length) / trained - (factor - 1)',
    '(factor * length) / trained',
    scaling,
  ),
  source(
    'YaRN divides the fast pairs',
    'rope/rope-scaling.ts',
    '(f / s) * slowed + f * (1 - slowed)',
    '(f / s) * (1 - slowed) + f * slowed',
    scaling,
  ),
  source(
    'YaRN does not round the ends of its ramp',
    'rope/rope-scaling.ts',
    'const truncate = scaling.truncate ?? true;',
    'const truncate = scaling.truncate ?? false;',
    scaling,
  ),
  source('YaRN takes the larger mscale', 'rope/rope-scaling.ts', 'g(mscale) / g(mscaleAllDim)', 'g(mscale)', scaling),
  source(
    'LongRoPE is long at the trained length',
    'rope/rope-scaling.ts',
    'length > trained ? longFactor',
    'length >= trained ? longFactor',
    scaling,
  ),
  source('LongRoPE has no factor of attention', 'rope/rope-scaling.ts', 'Math.sqrt(1 + math.log(s) / math.log(trained))', '1', scaling),
  source(
    'Llama 3 mixes the other way',
    'rope/rope-scaling.ts',
    '((1 - kept) * f) / factor + kept * f',
    '(kept * f) / factor + (1 - kept) * f',
    scaling,
  ),
  source('proportional pairs turn to the end', 'rope/rope-scaling.ts', 'i < turning ?', 'i <= turning ?', scaling),
  source(
    'exponents are counted in pairs',
    'rope/rope-scaling.ts',
    'math.pow(theta, (-2 * i) / width)',
    'math.pow(theta, -i / width)',
    scaling,
  ),
  source(
    'text goes on at the rows of an image',
    'rope/token-positions.ts',
    'row.next += Math.max(run.grid[1], run.grid[2]);',
    'row.next += run.grid[1];',
    ['encodings/token-positions'],
  ),
  source(
    'rows of an image end without a token',
    'rope/token-positions.ts',
    'placeText(row, first, rows * (columns + 1));',
    'placeText(row, first, rows * columns);',
    ['encodings/token-positions'],
  ),
  source('a position in the padding counts', 'rope/token-positions.ts', "side === 'left' ? length - (lengths[b] as number) : 0", '0', [
    'encodings/token-positions',
  ]),
];

const configs = [
  source(
    'permuted weights are those of the inverse',
    'huggingface/permute.ts',
    'inverse ? [first + pair, first + half] : [first + half, first + pair]',
    'inverse ? [first + half, first + pair] : [first + pair, first + half]',
    ['encodings/rotary-properties'],
  ),

  source(
    "DeepSeek's scale is without the square of m",
    'huggingface/score-scale.ts',
    'return m * m * plain();',
    'return m * plain();',
    models,
  ),
  source(
    "Llama 4's queries grow one position late",
    'huggingface/score-scale.ts',
    'Math.floor((position + 1) / step)',
    'Math.floor(position / step)',
    ['encodings/rotary-config', ...models],
  ),
  source(
    'a scalar is the scale',
    'huggingface/score-scale.ts',
    'value === undefined ? plain() : 1 / Math.sqrt(value)',
    'value === undefined ? plain() : 1 / value',
    models,
  ),
  source(
    'the last of a period is the first',
    'huggingface/layers.ts',
    "case 'last':\n      return (layer + 1) % every",
    "case 'last':\n      return layer % every",
    models,
  ),
  source(
    'layers without rope are those that have it',
    'huggingface/layers.ts',
    'return Boolean(list[layer]);',
    'return !list[layer];',
    models,
  ),
  source('dense layers have the pattern of the others', 'huggingface/layers.ts', '% (layer < dense ? first : every)', '% every', [
    'encodings/rotary-config',
  ]),
  source(
    'unknown keys of a scaling are dropped in silence',
    'huggingface/rope-parameters.ts',
    'if (!HARMLESS.has(name) && !extra.includes(name)) {',
    'if (HARMLESS.has(name) && extra.includes(name)) {',
    ['encodings/rotary-config'],
  ),
  source('a null layer turns', 'huggingface/rope-parameters.ts', 'if (given === null) return undefined;', '', ['encodings/rotary-config']),
  source(
    'a trained length beside the parameters goes last',
    'huggingface/rope-parameters.ts',
    '(label ? undefined : beside) ?? count(where, given, own) ?? longest',
    'count(where, given, own) ?? (label ? undefined : beside) ?? longest',
    ['encodings/rotary-config'],
  ),
  source(
    'patches of a tower come row by row',
    'huggingface/vision.ts',
    'Math.floor(square / across) * merge + Math.floor(within / merge)',
    'Math.floor((token % each) / columns)',
    models,
  ),
  source("DINOv3's class token turns", 'huggingface/vision.ts', 'prefix: 1 + registers', 'prefix: registers', [
    'encodings/rotary-config',
    'golden',
  ]),
  source('HunYuan raises its base by alpha', 'huggingface/text-rotation.ts', 'context.math.pow(alpha, width / (width - 2))', 'alpha', [
    'encodings/rotary-config',
  ]),
  source(
    'what is not interleaved is',
    'huggingface/text-rotation.ts',
    'config.rope_interleave === false ?',
    'config.rope_interleave === true ?',
    ['encodings/rotary-config'],
  ),
  source(
    'Gemma 4 has heads of one width',
    'huggingface/config.ts',
    "if (facts.wide === undefined || layerType !== 'full_attention')",
    'if (facts.wide !== undefined || layerType !== undefined)',
    models,
  ),
];

const nodes = [
  source(
    'a window of ONNX is without the query itself',
    'onnx/masks.ts',
    'to = Math.min(to, position + right + 1);',
    'to = Math.min(to, position + right);',
    [...rules, ...backend],
  ),
  source(
    'queries beyond a prompt see its keys',
    'onnx/masks.ts',
    'if (queries && i >= (queries[b] as number)) return [0, 0];',
    '',
    nodesOf,
  ),
  source('a short mask shows the keys beyond', 'onnx/masks.ts', '(_, n) => pick(n) ?? -Infinity)', '(_, n) => pick(n) ?? 0)', nodesOf),
  source('queries of a padded prompt stand at its end', 'onnx/gqa.ts', 'first ? 0 : n - L', 'n - L', nodesOf),
  source('a first prompt takes every given position', 'onnx/gqa.ts', 'if (!first || !ids.length) return ids;', 'return ids;', rules),
  source('a local window is one key wider', 'onnx/gqa.ts', 'window < 0 ? -1 : window - 1', 'window < 0 ? -1 : window', nodesOf),
  source('the least float32 does not hide', 'onnx/gqa.ts', '(x === LEAST ? -Infinity : x)', 'x', rules),
  source(
    'the past of a row is that of the longest',
    'onnx/present.ts',
    'if (count) copyInto(work, part(all, b, n, n + count)',
    'if (count) copyInto(work, part(all, b, total - count, total)',
    nodesOf,
  ),
  source('negative padding is visible', 'onnx/mha.ts', 'x > 0 ? 1 : 0', 'x !== 0 ? 1 : 0', rules),
  source('a past does not move the causal bound', 'onnx/mha.ts', 'const offset = past?.[0].shape[2] ?? 0;', 'const offset = 0;', rules),
  source('queries of a padded cache begin at 0', 'onnx/attention.ts', 'lengths.map((n) => n - L)', 'lengths.map(() => 0)', [
    ...backend,
    ...rules,
  ]),
  source(
    'a position of ONNX rotary is counted on',
    'onnx/rotary.ts',
    'out.set(sines.subarray(row * half, (row + 1) * half), (2 * n + 1) * half);',
    'out.set(sines.subarray(n * half, (n + 1) * half), (2 * n + 1) * half);',
    [...backend, ...rules],
  ),
];

const stored = [
  source('tensors of a file may overlap', 'safetensors/header.ts', 'if (entry.begin < end) {', 'if (entry.begin < 0) {', files),
  source('a file may have holes', 'safetensors/header.ts', 'if (entry.begin > end) {', 'if (entry.begin < 0) {', files),
  source(
    'a header is not filled up',
    'safetensors/write-header.ts',
    'const padded = roundUp(json.length, 8);',
    'const padded = json.length;',
    files,
  ),
  source('a key may be there twice', 'safetensors/header.ts', 'if (keys.has(key)) return key;', '', files),
  source('narrow tensors come first', 'safetensors/index.ts', 'rank(b) - rank(a)', 'rank(a) - rank(b)', files),
];

export const schemes = [...biases, ...grids, ...terms, ...frequencies, ...configs, ...nodes, ...stored];
