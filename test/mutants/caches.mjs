// Mutations of the cache of keys and values, and of the tables that calls share.
import { mutationsOf } from './make.mjs';

const source = mutationsOf('src');
const changes = ['kvcache/changes'];
const program = ['kvcache/program'];
const removed = ['kvcache/remove'];
const decode = ['kvcache/cold'];
const tables = ['attention/tables'];

const rows = [
  source(
    'a fork writes on the page of the other',
    'kvcache/rows.ts',
    'if (end < row.pages.length && !this.#pool.shared(row.pages[last] as number))',
    'if (end < row.pages.length)',
    changes,
  ),
  source(
    'a window gives a page back too early',
    'kvcache/rows.ts',
    'Math.max(row.kept, next - left)',
    'Math.max(row.kept, next - left + 1)',
    [...changes, ...program],
  ),
  source(
    'the page of the sinks goes with the window',
    'kvcache/rows.ts',
    'const first = Math.ceil(sinks / pageSize);',
    'const first = Math.floor(sinks / pageSize);',
    changes,
  ),
  source(
    'a cut loses the page in which it is',
    'kvcache/rows.ts',
    'const count = Math.ceil(n / pageSize);',
    'const count = Math.floor(n / pageSize);',
    changes,
  ),
  source('keys are held that a sliding window has lost', 'kvcache/rows.ts', '+ row.length - row.kept;', '+ row.length;', changes),
  source('a cut may ask for keys that are gone', 'kvcache/rows.ts', 'Math.max(0, n - left) >= row.kept', 'n >= row.kept', changes),
  source(
    'pages that others share are turned where they lie',
    'kvcache/rows.ts',
    'behind(turns ? moved.map(own) : moved)',
    'behind(moved)',
    removed,
  ),
  source('a page that nobody holds is never free', 'kvcache/pages.ts', 'if (left > 0) {', 'if (left >= 0) {', changes),
  source(
    'a reservation stays when its last cache goes',
    'kvcache/pages.ts',
    'if (--this.#caches === 0)',
    'if (--this.#caches < 0)',
    changes,
  ),
];

const keys = [
  source(
    'sinks turn twice',
    'kvcache/rewrite.ts',
    'length: Math.min(roundUp(sinks, pageSize), window[b] as number)',
    'length: roundUp(sinks, pageSize)',
    removed,
  ),
  source('a change of one cache changes its forks', 'kvcache/rewrite.ts', 'if (!pool.shared(page)) {', 'if (page > GONE) {', changes),
  source('torn keys are as good as others', 'kvcache/core.ts', 'if (this.torn === undefined) return;', 'if (!0) return;', ['kvcache/torn']),
  source('keys of a fork are torn too', 'kvcache/rewrite.ts', 'if (started && inPlace)', 'if (started)', ['kvcache/torn']),
  source('memory runs out between a move and a turn', 'kvcache/rewrite.ts', 'if (bytes > 0) arena', 'if (bytes < 0) arena', [
    'kvcache/torn',
  ]),
  source('a gap turns all rows alike', 'kvcache/rewrite.ts', '(turned?.(cut) === delta ? first[b] : rows[b]?.length)', 'first[b]', removed),
  source(
    'a cache whose window has moved loses keys of its middle',
    'kvcache/rewrite.ts',
    'if (from === to || !row.kept) return;',
    'if (from <= to) return;',
    removed,
  ),
  source(
    'an empty cache keeps its rotation',
    'kvcache/core.ts',
    'if (!this.rotation || this.#rows.every(({ length }) => length === 0) || sameRotation',
    'if (!this.rotation || sameRotation',
    changes,
  ),
  source(
    'a move takes the page of where it goes',
    'kvcache/store.ts',
    'source[Math.floor((at + gap) / pageSize)]',
    'source[Math.floor(at / pageSize)]',
    removed,
  ),
  source('values stay where they were', 'kvcache/store.ts', 'of [keys, values])', 'of [keys])', removed),
  source('rows move without their scales', 'kvcache/store.ts', 'if (depth > 1) scales[', 'if (depth > 2) scales[', removed),
  source('bytes of a page are counted in 32 bits', 'kvcache/store.ts', 'values, bytes: end }', 'values, bytes: end | 0 }', [
    'kvcache/tables',
  ]),
  source('pages are of 64 keys', 'kvcache/store.ts', '31 - Math.clz32(pageSize)', '6', decode),
  source('a table of turns begins at position 0', 'kvcache/jobs.ts', 'at - 4 * dim * first', 'at', changes),
  source(
    'a shift grows keys by the factor again',
    'kvcache/jobs.ts',
    'rotation: byDifference(rotation), inverse: false',
    'rotation, inverse: false',
    changes,
  ),
  source('a window shows one sink less', 'kvcache/kvcache.ts', '[0, sinks],', '[0, sinks - 1],', changes),
  source(
    'queries take the first of the given positions',
    'kvcache/use.ts',
    'part(all, rows, rows - L, L)',
    'part(all, rows, 0, L)',
    removed,
  ),
  source('queries ask for keys that are gone', 'kvcache/use.ts', '|| Math.max(0, first) >= kept ||', '|| kept >= 0 ||', changes),
  source('without new keys all lengths count', 'kvcache/use.ts', '(x, b) => Math.min(x, before[b] as number)', '(x) => x', changes),
];

const shared = [
  source('a table grows at its end alone', 'plan/table-cache.ts', '[to.first, low],\n', '', tables),
  source(
    'a table that grew has the rows of another head',
    'plan/table-cache.ts',
    'from.at + (h * from.count + low - from.first) * width',
    'from.at + (h * to.count + low - from.first) * width',
    tables,
  ),
  source('a table that grew hides nothing', 'plan/table-cache.ts', 'to.infinite = from.infinite;', 'to.infinite = false;', tables),
  source(
    'what is added to a table hides nothing',
    'plan/columns.ts',
    'range.infinite ||= data.includes(-Infinity);',
    'range.infinite = data.includes(-Infinity);',
    tables,
  ),
  source(
    'a table holds all that ever was asked for',
    'plan/table-cache.ts',
    'both[1] - both[0] > 2 * count ? [first, first + count] : both',
    'both',
    ['kvcache/tables'],
  ),
  source('a window keeps the tables of what it has left', 'plan/table-cache.ts', 'return slides || both', 'return both', [
    'kvcache/tables',
  ]),
  source('idle tables have no bound', 'plan/table-cache.ts', 'const SHARE = 0.25;', 'const SHARE = 4;', ['kvcache/tables']),
  source(
    'tables of all shapes of a scheme are one',
    'plan/relative-terms.ts',
    "${'kind' in part ? part.kind : ''} ${variant}`",
    "${'kind' in part ? part.kind : ''}`",
    ['kvcache/tables', 'encodings/terms'],
  ),
  source('tables of all schemes are one', 'plan/relative-terms.ts', 'number = ++count;', 'number = 1;', tables),
  source('two parts of a plan share a table', 'plan/with-terms.ts', 'keyOf(encoding, -1 - n, part)', 'keyOf(encoding, -1, part)', tables),
  source(
    'heads of any width share packed rows',
    'plan/relative-terms.ts',
    '${term.table.length} ${shape.D}`',
    '${term.table.length}`',
    tables,
  ),
  source('rotations of any factor share a table', 'plan/rotary-table.ts', '${inverse} ${factor} ${rest}', '${inverse} ${rest}', tables),
  source('keys grow as queries do', 'plan/rotary-table.ts', 'inverse === keys ? 1 : -1', 'inverse ? -1 : 1', ['encodings/rotary-axes']),
  source(
    'batch rows stand where the first does',
    'plan/rotary-table.ts',
    'positions.values.subarray(b * axes * rows, (b + 1) * axes * rows)',
    'positions.values.subarray(0, axes * rows)',
    ['attention/rotary'],
  ),
  source(
    'early keys meet the tables of the window',
    'attention/job-block.ts',
    '(field.EARLY_KEYS, keys?.[1] ?? 0)',
    '(field.EARLY_KEYS, 0)',
    ['kvcache/sinks'],
  ),
  source('what one call has asked for is kept', 'plan/uses.ts', '(!this.again(name) || ', '(', ['kvcache/tables', 'kvcache/cold']),
  source('tables that the layers share are kept for ever', 'plan/uses.ts', 'LONGEST_IDLE = 1024', 'LONGEST_IDLE = 1e9', ['kvcache/tables']),
  source('every rotation has the number of the last', 'plan/contents.ts', 'if (at === 0) return', 'if (this.#count) return', [
    'kvcache/tables',
  ]),
];

const terms = [
  source(
    'rows beyond the table are read',
    'plan/relative-terms.ts',
    'row < 0 || row >= zeroRow ? zeroRow : row',
    'row < 0 ? zeroRow : row',
    ['encodings/terms'],
  ),
  source(
    'a window of a key term is as long as its queries',
    'plan/relative-terms.ts',
    'roundUp(reach.queries, 4) + 12',
    'roundUp(reach.queries, 4)',
    ['encodings/terms', 'memory/canaries'],
  ),
  source('a scale of a term is that of the call', 'plan/relative-terms.ts', '(term.scale ?? scale) * unit', 'scale * unit', [
    'encodings/terms',
    'golden',
  ]),
  source('a term has the scale of the softcap', 'plan/relative-terms.ts', '(term.scale ?? scale) * unit', '(term.scale ?? scale)', [
    'encodings/terms',
    'golden',
  ]),
  source('positions count one row more than there is', 'plan/context-table.ts', 'CONTEXT_LAST, rows - 1]', 'CONTEXT_LAST, rows]', [
    'encodings/cope',
  ]),
  source('a table of contextual positions has no row of zeros', 'plan/context-table.ts', 'roundUp(rows + 1, 8)', 'roundUp(rows, 8)', [
    'encodings/cope',
  ]),
  source(
    'fractions of a difference are rounded down',
    'plan/differences.ts',
    'Math.trunc((n - (range - 1)) / F)',
    'Math.floor((n - (range - 1)) / F)',
    ['encodings/buckets', 'encodings/biases'],
  ),
  source('columns of another batch row', 'plan/pair-index.ts', 'columns.length > S ? 4 * S : 0', '0', ['encodings/windows']),
  source('a grid is resized by its corners', 'plan/grid.ts', '((i + 0.5) * m) / n - 0.5', '(i * m) / n', ['encodings/windows']),
];

export const caches = [...rows, ...keys, ...shared, ...terms];
