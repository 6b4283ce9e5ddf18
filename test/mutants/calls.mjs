// Mutations of a call: where it stands, how it is cut, masks, packed sequences.
import { mutationsOf } from './make.mjs';

const source = mutationsOf('src');
const shards = ['partial/split'];
const packed = ['masks/packed'];
const made = ['masks/constructors'];

const places = [
  source('queries stand at the beginning', 'attention/place.ts', 'queryOffset ?? total - L', 'queryOffset ?? 0', ['attention/masks']),
  source(
    'a causal offset is that of the shard',
    'attention/place.ts',
    'last = causal.offset - keyOffset;',
    'last = causal.offset;',
    shards,
  ),
  source('a window replaces the causal bound', 'attention/place.ts', 'last = Math.min(last, base + right);', 'last = base + right;', [
    'attention/masks',
  ]),
  source(
    'a shard stands where it does not',
    'attention/place.ts',
    'const base = queryOffset - keyOffset;',
    'const base = queryOffset + keyOffset;',
    shards,
  ),
  source('key lengths are those of the shard', 'attention/operands.ts', 'Math.min(S, n - keyOffset)', 'Math.min(S, n)', shards),
  source('scores are divided by the width', 'attention/check-call.ts', 'given ?? 1 / Math.sqrt(D)', 'given ?? 1 / D', ['attention/shapes']),
  source(
    'a scale near the softcap is refused too late',
    'attention/check-call.ts',
    'const LARGEST_RATIO = 1.2676506002282294e30;',
    'const LARGEST_RATIO = 2 ** 130;',
    ['attention/logits', 'contract/arguments'],
  ),
  source(
    'a shard may have sinks',
    'attention/check-call.ts',
    'if (sinks && place.totalKeys !== S) {',
    'if (sinks && place.totalKeys < S) {',
    shards,
  ),
  source(
    'a scheme of the cache that the call names too counts twice',
    'attention/check-call.ts',
    'given.filter(({ value }) => !encodings.includes(value))',
    'given',
    ['kvcache/cold', 'kvcache/decode'],
  ),
  source(
    'one table spans the gap to a far shard',
    'attention/rotations.ts',
    'if (count <= queryRange.count + keyRange.count) {',
    'if (count > 0) {',
    shards,
  ),
  source('heads share the weights of the first', 'attention/rotations.ts', 'weight && weight.length > D ? 4 * D : 0', '0', [
    'masks/weights',
    'encodings/windows',
  ]),
  source('queries of a bias reach one further', 'plan/bias-entries.ts', '[field.A_LAST, end - 1]', '[field.A_LAST, end]', [
    'encodings/score-terms',
  ]),
  source('an inverse reads the layout that it writes', 'attention/rotate.ts', 'inverse ? [other, one] : [one, other]', '[one, other]', [
    'attention/rotary',
    'encodings/rotary-properties',
  ]),
  source(
    'explicit positions of queries are the first',
    'arguments/positions.ts',
    'part(whole, T, queryOffset, L)',
    'part(whole, T, 0, L)',
    ['encodings/rotary-axes', 'encodings/rotary-properties'],
  ),
  source(
    'batch rows of positions come before the axes',
    'arguments/positions.ts',
    'list[(a * batch + b) * rows + row]',
    'list[(b * axes + a) * rows + row]',
    ['encodings/rotary-axes'],
  ),
];

const tiles = [
  source('a line of scratch is missing', 'attention/tiling.ts', '9 * Math.max(D, E) * 4', '8 * Math.max(D, E) * 4', ['memory/canaries']),
  source(
    'no room for records of two splits',
    'attention/tiling.ts',
    'S > field.SPLIT ? rows * record : 0',
    'S > 2 * field.SPLIT ? rows * record : 0',
    ['memory/canaries'],
  ),
  source('tiles are not of whole groups', 'attention/tiling.ts', 'Math.min(most, roundUp(even, 4))', 'Math.min(most, even)', [
    'attention/tiling',
  ]),
  source('the last step is not taken', 'attention/tiling.ts', 'Math.max(1, Math.ceil(S / keys))', 'Math.max(1, Math.floor(S / keys))', [
    'kvcache/splits',
  ]),
  source('a page waits as long as a process', 'attention/tiling.ts', 'patient ? TILE_WORK : PAGE_TILE_WORK', 'TILE_WORK', [
    'attention/tiling',
  ]),
  source(
    'documents of one length share their log-sum-exp',
    'attention/packed.ts',
    '[...pointers, [field.LSE, own ? own.pointer : 0]]',
    'pointers',
    packed,
  ),
  source('documents of half types lie where f32 would', 'attention/packed.ts', '* DTYPES[tensor.dtype].bytes];', '* 4];', packed),
  source(
    'documents take the steps of the shortest',
    'attention/packed.ts',
    'Math.max(...Array.from(calls.values()',
    'Math.min(...Array.from(calls.values()',
    packed,
  ),
  source(
    'documents of as many queries are alike',
    'attention/packed.ts',
    '`${queries[1] - queries[0]} ${keys[1] - keys[0]}`;',
    '`${queries[1] - queries[0]}`;',
    packed,
  ),
  source(
    'the scratch of a packed call is that of its last document',
    'attention/packed.ts',
    'bytes = Math.max(bytes, size);',
    'bytes = size;',
    ['memory/canaries', 'masks/packed'],
  ),
  source('weights of a window of keys are the first', 'attention/weights.ts', 'n === S - 1 - first ? 1 : 0', 'n === S - 1 ? 1 : 0', [
    'masks/weights',
  ]),
  source('weights have what a scheme adds to v', 'attention/weights.ts', 'value: withoutValues(value)', 'value', ['masks/weights']),
];

const masks = [
  source('an intersection takes the later end', 'masks/runs.ts', 'const to = Math.min(endA, endB);', 'const to = Math.max(endA, endB);', [
    'masks/compose',
  ]),
  source('a complement forgets its end', 'masks/runs.ts', 'if (from < end) out.push(from, end);', '', ['masks/compose']),
  source(
    'a chunk is one too long',
    'masks/bands.ts',
    'return run(from - left, from + size, keys);',
    'return run(from - left, from + size + 1, keys);',
    made,
  ),
  source('a neighbourhood is not moved inwards', 'masks/bands.ts', "border === 'shift' ?", "border === 'cut' ?", made),
  source(
    'a prefix ends where the query stands',
    'masks/bands.ts',
    'unite(run(0, length.at(batch), keys), run(0, position + 1, keys))',
    'run(0, position + 1, keys)',
    made,
  ),
  source('a shard takes intervals of the whole', 'masks/lower.ts', '(runs[n] as number) - keyOffset', '(runs[n] as number)', [
    'masks/compose',
  ]),
  source(
    'padding on the left hides the first real query',
    'masks/sequences.ts',
    'index >= queries - length',
    'index > queries - length',
    made,
  ),
  source('documents of another batch row', 'masks/sequences.ts', 'runsById(keyIds, b * T, T)', 'runsById(keyIds, 0, T)', made),
  source(
    'a mask over all keys is read from its first in a shard',
    'masks/tensors.ts',
    'width === S || width === 1 ? 0 : keyOffset * size',
    '0',
    ['masks/compose'],
  ),
  source('a column of a mask hides one key', 'masks/tensors.ts', 'const spread = width === 1 && S !== 1;', 'const spread = false;', [
    'masks/tensors',
  ]),
];

const steps = ['prepared/steps'];
const life = ['prepared/life'];

const prepared = [
  source('a prepared step goes on although the cache has other pages', 'prepared/step.ts', 'row.pages !== pages[b] || ', '', steps),
  source('a prepared step takes all rows for as long as the first', 'prepared/step.ts', ' || row.length !== first.length', '', steps),
  source('a prepared step goes beyond its tables', 'prepared/step.ts', ' || first.length + count > end', '', steps),
  source('a prepared step goes before its tables', 'prepared/step.ts', 'first.length + count < start || ', '', steps),
  source('a fork leaves its parent the pages that a step knows', 'kvcache/core.ts', 'pages: [...row.pages] }', '}', steps),
  source(
    'a prepared step goes beyond the columns of a bias',
    'prepared/step.ts',
    '? Infinity : 1 - first',
    '? Infinity : 9 - first',
    steps,
  ),
  source('a bias does not move with a prepared step', 'prepared/step.ts', 'add(at, -4);', 'add(at, -8);', steps),
  source('a prepared step goes beyond its page', 'prepared/step.ts', 'length + n <= pages.length * pageSize', 'true', steps),
  source('a prepared step asks no encoding again', 'prepared/step.ts', '.every((one) => one.steady === true)', '.every(() => true)', steps),
  source('a window does not move with a prepared step', 'prepared/step.ts', 'row.kept = Math.max(row.kept, row.length - left);', '', steps),
  source(
    'a prepared step that failed appends',
    'prepared/step.ts',
    'this.#endStep?.();',
    'grow(this.#last?.core ?? { rows: [] }, 1);\n    this.#endStep?.();',
    life,
  ),
  source(
    'what a failed run was given is used again',
    'prepared/repeat.ts',
    '  fail(): void {\n    this.release();',
    '  fail(): void {',
    life,
  ),
  source('a prepared call runs twice at a time', 'prepared/prepared.ts', 'this.#running = true;', 'this.#running = false;', life),
  source(
    'a prepared call that is disposed in a run is never given back',
    'prepared/prepared.ts',
    'if (this.#disposed) this.#release();',
    '',
    life,
  ),
  source('an aborted run leaves what it wrote', 'prepared/prepared.ts', 'restore?.();', '', life),
];

export const calls = [...places, ...tiles, ...masks, ...prepared];
