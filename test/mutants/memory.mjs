// Mutations of memory, threads and partial states.
import { mutationsOf } from './make.mjs';

const source = mutationsOf('src');
const arena = ['memory/arena'];
const pool = ['threads/pool'];
const wire = ['partial/wire'];
const shards = ['partial/shards'];

const room = [
  source('a hole does not join the one before', 'memory/arena.ts', 'if (index > 0) this.#merge(index - 1);', '', arena),
  source('growth does not count the free tail', 'memory/arena.ts', 'const needed = size - tail;', 'const needed = size;', arena),
  source(
    'a block that is freed twice is free twice',
    'memory/arena.ts',
    'if (size === undefined || this.#kept.has(at)) throw',
    'if (size !== 0 && this.#kept.has(at)) throw',
    arena,
  ),
  source(
    'what a lost worker may write is handed out again',
    'memory/arena.ts',
    'if (this.#suspects.size > 0 && this.#suspected(at))',
    'if (false)',
    ['memory/lost'],
  ),
  source(
    'nothing makes room for what does not fit',
    'plan/table-cache.ts',
    'context.arena.reclaim = () => this.#dropOldest();',
    'context.arena.reclaim = () => false;',
    ['kvcache/tables'],
  ),
  source(
    'a call gives back in the order in which it took',
    'memory/scope.ts',
    'for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop())',
    'for (let release = this.#releases.shift(); release !== undefined; release = this.#releases.shift())',
    ['memory/scope'],
  ),
];

const overlaps = [
  source(
    'an output that begins inside an input is taken',
    'memory/operands.ts',
    'if (low < to && from < high) throw',
    'if (low <= from && from < high) throw',
    ['memory/overlap'],
  ),
  source(
    'memory before the first element of negative strides does not count',
    'memory/tensor.ts',
    'if (reach < 0) low += reach;\n      else high += reach;',
    'if (reach > 0) high += reach;',
    ['memory/overlap'],
  ),
  source('a merge may be written over any of its states', 'partial/merge.ts', '...(state.out === out ? []', '...(out ? []', [
    'memory/overlap',
  ]),
  source(
    'an output may stand on a bias',
    'attention/check-call.ts',
    'if (out) checkApart(where, out, readsOf(operands, given, placed));',
    '',
    ['memory/overlap'],
  ),
  source(
    'an output of packed calls may stand on a mask',
    'attention/packed.ts',
    'if (out) checkApart(where, out, readsOf(operands, options, one.placed));',
    '',
    ['memory/overlap'],
  ),
  source(
    'a rotation may stand on a part of its input',
    'attention/rotate.ts',
    'if (out && out !== operand) checkApart',
    'if (out === operand) checkApart',
    ['memory/overlap'],
  ),
];

const numbers = [
  source('whole numbers below the least are taken', 'memory/data.ts', 'x < least || x > most', 'x > most', [
    'memory/dtypes',
    'memory/data',
  ]),
  source('a tensor of bytes holds 128', 'memory/dtypes.ts', 'range: [-128, 127],', 'range: [-128, 128],', ['memory/dtypes']),
  source('rows of a cache of bytes have no room for their scales', 'kvcache/store.ts', '(depth > 1 ? 4 * pageSize : 0)', '0', [
    'kvcache/types',
  ]),
  source(
    'a view is kept that growth detaches',
    'memory/data.ts',
    'return () => new View(memory.buffer, byteOffset, length);',
    'return () => data;',
    ['memory/data'],
  ),
  source('what overlaps is read while it is written', 'memory/tensor.ts', 'source = () => copy;\n      data = copy;', '', ['memory/data']),
  source(
    'rows beyond the first two dimensions are those of the first',
    'memory/tensor.ts',
    'rest = Math.floor(rest / size);',
    'rest = 0;',
    ['attention/layouts'],
  ),
];

const threads = [
  source(
    'a tile is done at each of its steps',
    'threads/tiles.ts',
    'if (++this.#step < steps) return;',
    'if (++this.#step < steps) { Atomics.add(this.#words, DONE, 1); return; }',
    ['threads/tiles'],
  ),
  source('tiles are drawn from the last', 'threads/tiles.ts', 'number - this.#first', 'this.#end - 1 - number', ['threads/tiles']),
  source('a stopped tile goes on to its end', 'threads/tiles.ts', 'if (Atomics.load(words, STOPPED) !== 0) return true;', '', [
    'threads/tiles',
  ]),
  source('a stage waits for none before it', 'threads/tiles.ts', 'if (Atomics.load(words, DONE) >= this.#first) break;', 'break;', [
    'threads/tiles',
  ]),
  source('a stage that ends wakes nobody', 'threads/tiles.ts', 'this.#entered < this.#options.stages) ring(', 'false) ring(', [
    'threads/tiles',
  ]),
  source(
    'the last stage wakes all',
    'threads/tiles.ts',
    'done === this.#end && this.#entered < this.#options.stages',
    'done === this.#end',
    ['threads/tiles'],
  ),
  source(
    'a stop wakes nobody',
    'threads/tiles.ts',
    'Atomics.store(words, NEXT, ENDED);\n  ring(words);',
    'Atomics.store(words, NEXT, ENDED);',
    ['threads/tiles'],
  ),
  source('the second stage is passed over', 'threads/serve.ts', 'STAGE_WORDS * (n - 1) : STAGE', 'STAGE_WORDS * n : STAGE', [
    'threads/serve',
  ]),
  source(
    'a job has the scratch of its last stage',
    'threads/job.ts',
    'scratch = Math.max(scratch, stage.scratch);',
    'scratch = stage.scratch;',
    ['threads/job'],
  ),
  source('the list of stages overlaps what is behind the scratch', 'threads/job.ts', '4 * STAGE_WORDS * (stages', 'STAGE_WORDS * (stages', [
    'threads/job',
  ]),
  source('workers that lack a module go on', 'threads/tile-pool.ts', 'old !== undefined && old.plan !== this.#plan', 'false', pool),
  source(
    'a synchronous call has workers that lack a module',
    'threads/tile-pool.ts',
    'group && group.plan === this.#plan &&',
    'group &&',
    pool,
  ),
  source('a job that is stopped goes on alone', 'threads/alone.ts', 'if (this.#stopped) return true;', '', pool),
  source(
    'one worker too many takes part',
    'threads/serve.ts',
    'if (slot >= word(words, THREADS)) return;',
    'if (slot > word(words, THREADS)) return;',
    ['threads/serve'],
  ),
  source('workers share the scratch of the caller', 'threads/serve.ts', '+ slot * word(words, STRIDE)', '', ['threads/serve']),
  source('a trap does not stop the others', 'threads/serve.ts', 'noteTrap(words, worker,', 'if (worker < 0) noteTrap(words, worker,', [
    'threads/serve',
  ]),
  source('a worker of another generation counts', 'threads/gate.ts', 'if (generationOf(gate) !== generation) return false;', '', [
    'threads/gate',
  ]),
  source(
    'a worker is inside only as the last of its generation',
    'threads/gate.ts',
    '=== insideState(generation);',
    '!== insideState(generation);',
    ['threads/gate'],
  ),
  source('everybody who leaves wakes the caller', 'threads/gate.ts', 'if ((gate & INSIDE) !== 1) return false;', '', ['threads/gate']),
  source(
    'the open gate forgets its generation',
    'threads/gate.ts',
    '(generationOf(gate) << GENERATION_SHIFT) | (epoch << EPOCH_SHIFT) | OPEN',
    '(epoch << EPOCH_SHIFT) | OPEN',
    ['threads/gate'],
  ),
  source('memory is not in quarantine after a loss', 'threads/tile-pool.ts', 'this.#reserve.quarantine(group.over);', '', [
    'threads/unconfirmed',
  ]),
  source(
    'what a lost worker may write is not said to be lost',
    'threads/tile-pool.ts',
    'if (group && group === this.#ending) for',
    'if (false) for',
    ['threads/unconfirmed'],
  ),
  source(
    'a call that was aborted before begins all the same',
    'threads/tile-pool.ts',
    'if (options.signal?.aborted) return Promise.reject(options.signal.reason);',
    '',
    pool,
  ),
  source('the last failure of a call stands', 'threads/task.ts', 'this.#failure ??= { error };', 'this.#failure = { error };', pool),
  source('the end is not reported', 'threads/task.ts', 'if (!this.#failure) this.#report(this.#tiles);', '', ['contract/progress']),
  source('a failed call goes on', 'threads/task.ts', 'else this.#course.stop();', '', pool),
];

const states = [
  source('a bound by offset starts at the first query', 'partial/shards.ts', 'FAR, FAR) - start;', 'FAR, FAR);', shards),
  source(
    'a shard that all see to its first key is not seen by all',
    'partial/shards.ts',
    'end - 1 + first <= keyOffset',
    'end - 1 + first < keyOffset',
    shards,
  ),
  source('an empty window sees', 'partial/shards.ts', 'first <= last && start + first < stop', 'start + first < stop', shards),
  source('states with other outputs are one', 'partial/shards.ts', ' || !sameBits(other.out, state.out)', '', shards),
  source('an empty shard may have seen keys', 'partial/shards.ts', 'state.lse.some((l) => l !== -Infinity)', 'false', shards),
  source('the checksum keeps its sign', 'partial/crc.ts', 'crc = (crc >>> 8) ^ entry((crc', 'crc = (crc >> 8) ^ entry((crc', wire),
  source('numbers travel big endian', 'partial/wire.ts', 'if (isLittleEndian()) return;', 'if (!isLittleEndian()) return;', wire),
  source(
    'a dimension is written big endian',
    'partial/wire.ts',
    'header.setUint32(12 + 4 * axis, n, true);',
    'header.setUint32(12 + 4 * axis, n);',
    wire,
  ),
  source('the checksum of the numbers is not compared', 'partial/wire.ts', 'must(checksum === word(52),', 'must(true,', wire),
  source('as many shards as the last one has', 'partial/wire.ts', 'must(count ? index < count', 'must(count ? index <= count', wire),
  source('rows that are no f32 share a line', 'partial/merge.ts', "out.dtype !== 'f32' || out.strides[3] !== 1", "out.dtype !== 'f32'", [
    'memory/canaries',
    'partial/merge',
  ]),
];

export const memory = [...room, ...overlaps, ...numbers, ...threads, ...states];
