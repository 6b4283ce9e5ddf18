// The generated parts of the documentation: docs/encodings.md and docs/pictures from the registry and the engine, and every number in
// README.md, docs/benchmarks.md, docs/models.md and docs/scale.md from the newest committed file of its topic in bench/results, and the code of docs/recipes from
// examples/recipes, which the tests run. Needs `npm run build`.
//   node scripts/docs.mjs            writes them
//   node scripts/docs.mjs --check    writes nothing; exit code 1 if one is out of date
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { contextBlock, scaleBlock, throughputBlock } from '../adapters/bullmq/bench/scale.mjs';
import { tablesOf } from '../bench/models/lib/docs.mjs';
import { cellText, tableOf } from '../bench/peers/lib/aims.mjs';
import { lengthOf, RECIPES } from '../bench/schemes.mjs';
import { registry } from '../dist/encodings/registry.js';
import { createEngine } from '../dist/index.js';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

// ---- results

/** The newest result of a topic, or undefined: file names start with the date. */
function resultOf(topic) {
  const name = readdirSync('bench/results')
    .filter((file) => file.slice(11) === `${topic}.json`)
    .sort()
    .at(-1);
  return name && { file: `bench/results/${name}`, ...JSON.parse(readFileSync(`bench/results/${name}`, 'utf8')) };
}

const three = (x) => (x >= 1000 ? Math.round(x) : Number(x.toPrecision(3))).toString();
const kilobytes = (bytes) => `${three(bytes / 1000)} kB`;
const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(head), row(head.map((_, n) => (n === 0 ? '---' : '---:'))), ...rows.map(row)].join('\n');
const none = (topic) => `*No result of \`${topic}\` is recorded yet.*`;

/** Where the numbers come from. */
const source = ({ file, node, cpus, cpu, load, command }) =>
  `\`${file}\`: Node ${node}, ${cpus} × ${cpu}, load ${load.toFixed(1)} at the start, \`${command}\`.`;

/** A block from a result; `render` is not called where there is none. */
const from = (topic, render) => {
  const result = resultOf(topic);
  return result ? render(result) : none(topic);
};

/** A block with what stands above it: nothing at all where there is no result. */
const under = (heading, topic, render) => (resultOf(topic) ? `${heading}\n\n${render()}` : '');

/** The fastest row of each peer in a case of bench/peers, among those that do the same work. */
const fastest = ({ rows }, peer) => rows.filter((one) => one.peer === peer && one.sameWork).sort((a, b) => a.medianMs - b.medianMs)[0];

function peerTable({ peers, results, baseline, ...about }) {
  const names = Object.keys(peers);
  const cell = (result, name) => {
    const best = fastest(result, name);
    return best ? `${three(best.medianMs)} ms, ${three(best.rate)}` : '–';
  };
  const ratio = (result) => {
    const [own, other] = [fastest(result, 'relpos'), fastest(result, baseline)];
    return own && other ? `**${(other.medianMs / own.medianMs).toFixed(2)}×**` : '';
  };
  const head = ['case', ...names.map((name) => `${name} ${peers[name]}`), `relpos over ${baseline}`];
  return `${table(
    head,
    results.map((result) => [result.id, ...names.map((name) => cell(result, name)), ratio(result)]),
  )}\n\n${source(about)}`;
}

/** The table of aims: a column for each host and precision. */
const aimsTable = () =>
  from('table', ({ runs, ...about }) => {
    const { columns, rows } = tableOf(runs);
    const head = ['work', ...columns.map(({ label, precision }) => `${label}, ${precision}`)];
    // A dash marks what did not run, a dagger what is below its aim.
    const cells = rows.map((one) => [one.work, ...one.cells.map((cell) => cellText(cell).replace(' !', ' †'))]);
    return `${table(head, cells)}\n\n${source(about)}`;
  });

/** Whole models: over onnxruntime-web, and by themselves. */
const modelsTable = () =>
  from('models', ({ runs, ...about }) => {
    const { over, alone } = tablesOf(runs);
    return [table(over.head, over.rows), table(alone.head, alone.rows), source(about)].join('\n\n');
  });

/** `from … to` of the ratios over cases whose name fits. */
function range({ results, baseline }, pattern) {
  const ratios = results
    .filter(({ id }) => pattern.test(id))
    .map((result) => [fastest(result, 'relpos'), fastest(result, baseline)])
    .filter(([own, other]) => own && other)
    .map(([own, other]) => other.medianMs / own.medianMs);
  if (ratios.length === 0) return undefined;
  const [low, high] = [Math.min(...ratios).toFixed(1), Math.max(...ratios).toFixed(1)];
  return low === high ? low : `${low} to ${high}`;
}

const bySize = (name) =>
  from('sizes', ({ results }) => {
    const found = results.find((one) => one.name === name);
    return found ? `${kilobytes(found.brotli)}` : none('sizes');
  });

/** What the table of aims says of a precision, in words: the ratios of all hosts, lowest and highest. */
function preciseLine({ runs }, precision) {
  const { columns, rows } = tableOf(runs);
  const parts = [
    ['full attention', /^\d/],
    ['causal attention', /^causal/],
    ['decoding over an i16 cache', /^decode.*i16/],
    ['over an i8 cache', /^decode.*i8/],
  ].flatMap(([name, pattern]) => {
    const ratios = rows
      .filter(({ work }) => pattern.test(work))
      .flatMap(({ cells }) => cells.filter(({ ratio }, n) => ratio !== undefined && columns[n].precision === precision))
      .map(({ ratio }) => ratio);
    return ratios.length ? [`${name} ${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)}×`] : [];
  });
  return parts.length ? `**Faster with \`precision: '${precision}'\`**, the same way: ${parts.join(', ')}.` : undefined;
}

/** The claims at the top of README.md, as far as there are results for them. */
function headline() {
  const lines = [];
  const peers = resultOf('peers');
  if (peers) {
    const parts = [
      ['full attention', /^attention\//],
      ['causal attention', /^causal\//],
      ['a T5 bias', /^t5-bias\//],
      ['grouped-query prefill with rotary', /^prefill\//],
      ['decoding', /^decode\//],
      ['rotation', /^rotary\//],
    ].flatMap(([name, pattern]) => {
      const found = range(peers, pattern);
      return found ? [`${name} ${found}×`] : [];
    });
    lines.push(
      `**Fast**: against ${peers.baseline} ${peers.peers[peers.baseline]} in its best configuration, one thread, same run: ${parts.join(', ')} its speed.`,
    );
  }
  const aims = resultOf('table');
  const precise = aims && preciseLine(aims, 'int16');
  if (precise) lines.push(precise);
  const cold = resultOf('cold');
  if (cold) {
    const { relpos, 'onnxruntime-web': other } = cold.summary;
    lines.push(
      `**Small**: from import to the first attention ${three(relpos.totalMs)} ms (onnxruntime-web: ${three(other.totalMs)} ms), ` +
        `${bySize('bundle of createEngine, rotary, attention')} in a bundle (brotli), kernels included.`,
    );
  }
  const encodings = resultOf('encodings');
  if (encodings) {
    const costs = (kind) => encodings.results.filter((one) => one.kind === kind && !one.missing).map(({ cost }) => cost);
    const [biases, tables] = ['offset bias', 'table'].map((kind) => costs(kind).sort((a, b) => a - b));
    // Less than nothing is noise.
    const said = (list) => `${Math.max(0, list[0]).toFixed(0)} to ${Math.max(0, list.at(-1)).toFixed(0)} %`;
    if (biases.length && tables.length) {
      lines.push(
        `**Positions at small cost**: a bias by distance (T5, ALiBi, …) adds ${said(biases)}, a table met by the query ` +
          `(Shaw, Transformer-XL, XLNet, …) ${said(tables)}, the less the shorter the table; neither makes an L × S matrix.`,
      );
    }
  }
  return lines.length ? lines.map((line) => `- ${line}`).join('\n') : none('peers');
}

const opsTable = (topic) => () =>
  from(topic, ({ results, ...about }) => {
    const rows = results.map(({ name, median, mad, samples, rate, unit, share }) => [
      name,
      `${three(median)} ± ${Number(mad.toPrecision(2))}`,
      samples,
      `${three(rate)} ${unit}`,
      share == null ? '–' : `${Math.round(100 * share)} %`,
    ]);
    return `${table(['case', 'median ± MAD, ms', 'samples', 'rate', 'of peak'], rows)}\n\n${source(about)}`;
  });

const threadsTable = () =>
  from('threads', ({ results, ...about }) => {
    const counts = results[0].rows.map(({ threads }) => threads).slice(1);
    const rows = results.map(({ name, unit, rows, speedup }) => [
      name,
      ...rows.map(({ rate }) => `${three(rate)} ${unit}`),
      ...rows.slice(1).map((one) => `${(one.speedup ?? speedup).toFixed(2)}×`),
      ...rows
        .slice(1)
        .map(({ overheadUs }) => (overheadUs === undefined ? '–' : `${overheadUs < 0 ? '−' : ''}${three(Math.abs(overheadUs))} µs`)),
    ]);
    const ofEach = (text) => counts.map((n) => text.replace('N', n));
    const head = ['case', 'one thread', ...ofEach('N threads'), ...ofEach('speed-up of N'), ...ofEach('N: over its part')];
    return `${table(head, rows)}\n\n${source(about)}`;
  });

const encodingsTable = () =>
  from('encodings', ({ results, ...about }) => {
    const known = results.filter(({ missing }) => !missing);
    const names = [...new Set(known.map(({ name }) => name))];
    const cells = (name) => {
      const found = known.filter((one) => one.name === name);
      const part = (small) => found.find(({ L }) => L < 1024 === small);
      const shown = (one) => (one ? `${one.cost >= 0 ? '+' : '−'}${Math.abs(one.cost).toFixed(1)} %` : '–');
      const own = (one) =>
        one?.arithmetic ? `${three(100 * one.arithmetic.share)} %${one.arithmetic.lookups ? `, ${one.arithmetic.lookups}` : ''}` : '–';
      const memory = (one) => (one ? `${three((one.reserved - one.plain) / 2 ** 20)} MiB` : '–');
      const [short, long] = [part(true), part(false)];
      return [name, found[0].kind, own(short), shown(short), own(long), shown(long), memory(long)];
    };
    const head = ['scheme', 'kind', 'own, 512 keys', 'cost', 'own, 2048 keys', 'cost', 'more memory at 2048'];
    return `${table(head, names.map(cells))}\n\n${source(about)}`;
  });

const sizesTable = () =>
  from('sizes', ({ results, file }) => {
    const rows = results.map(({ name, bytes, gzip, brotli }) => [name, kilobytes(bytes), kilobytes(gzip), brotli ? kilobytes(brotli) : '']);
    return `${table(['', 'bytes', 'gzip', 'brotli'], rows)}\n\n\`${file}\`.`;
  });

const coldTable = () =>
  from('cold', ({ summary, processes, ...about }) => {
    const rows = Object.entries(summary).map(([name, x]) => [
      name,
      ...[x.importMs, x.createMs, x.firstRunMs, x.totalMs].map((ms) => `${three(ms)} ms`),
      `${x.residentMB.toFixed(0)} MB`,
    ]);
    return `${table(['', 'import', 'create', 'first run', 'total', 'resident'], rows)}\n\nMedians of ${processes} fresh processes. ${source(about)}`;
  });

/** A recipe's file as a block of code; JavaScript is `js`, not `ts`, which the tests would run where it stands. */
const code = (path) =>
  `\`\`\`${/\w+$/.exec(path)[0].replace(/^[cm]js$/, 'js')}\n${readFileSync(`examples/recipes/${path}`, 'utf8').trim()}\n\`\`\``;

/** Calls of few queries: a row for each length, a column for each width of a head. */
const smallTable = () =>
  from('small', ({ results, ...about }) => {
    const squares = results.filter(({ B, prepared }) => B === 1 && !prepared);
    const inAdvance = results.filter(({ prepared }) => prepared);
    const unique = (name) => [...new Set(squares.map((one) => one[name]))].sort((a, b) => a - b);
    const share = (one) => (one.share === null ? '' : ` (${Math.round(100 * one.share)} %)`);
    const cell = (one) => (one ? `${three(1000 * one.ms)}${share(one)}${one.cliff ? ' †' : ''}` : '–');
    const rows = unique('L').map((L) => [
      L,
      ...unique('D').map((D) => cell(squares.find((one) => one.L === L && one.D === D))),
      ...(inAdvance.length ? [cell(inAdvance.find((one) => one.L === L))] : []),
    ]);
    const batches = results
      .filter(({ B }) => B > 1)
      .map(({ B, L, D, ...one }) => [`${B} of ${L}×12×${D}`, three(1000 * one.ms), three((1000 * one.ms) / B), share(one).trim()]);
    const prepared = inAdvance.length ? [`D ${inAdvance[0].D}, prepared call`] : [];
    const head = ['L = S', ...unique('D').map((D) => `D ${D}`), ...prepared];
    return `${table(head, rows)}\n\n${table(['batch', 'µs', 'µs a row of the batch', 'of peak'], batches)}\n\n${source(about)}`;
  });

/** A sentence if the newest result of a topic is of another machine. */
function elsewhere(own, topic, what) {
  const other = resultOf(topic);
  const machine = ({ cpus, cpu }) => `${cpus} × ${cpu}`;
  if (!other || machine(other) === machine(own)) return '';
  return ` The ${what} below were measured on another machine, ${machine(other)}: rates here and there cannot be compared.`;
}

/** The same benchmark in every runtime: a row for each case and number of threads, a column for each runtime. */
const runtimesTable = (topic) => () =>
  from(topic, ({ results, ...about }) => {
    const rowOf = ({ rows }, id, threads) => rows.find((one) => one.case === id && one.threads === threads);
    const keys = new Map(
      results.flatMap(({ rows }) => rows.map(({ case: id, threads, unit }) => [`${id} ${threads}`, { id, threads, unit }])),
    );
    const rows = [...keys.values()].map(({ id, threads, unit }) => {
      const ofPeak = ({ share }) => (share === null ? '' : ` (${Math.round(100 * share)} %)`);
      const cells = results.map((result) => rowOf(result, id, threads)).map((own) => (own?.rate ? three(own.rate) + ofPeak(own) : '–'));
      return [`${id}, ${threads} thread${threads > 1 ? 's' : ''}, ${unit}`, ...cells];
    });
    const peaks = results.map(({ peak }) => (peak.mulAdd ? three(peak.mulAdd) : '–'));
    const integers = results.map(({ peak }) => (peak.int16 ? three(peak.int16) : '–'));
    const ends = [
      ['peak of one thread, GFLOP/s', ...peaks],
      ...(results.some(({ peak }) => peak.int16) ? [['of 16-bit products', ...integers]] : []),
      ['hash of all outputs', ...results.map(({ hash }) => `\`${hash}\``)],
    ];
    // What ran just before counts in the load too: only more than all cores can be other work.
    const busy = about.load > about.cpus ? ' The machine was busy with other work: the hashes mean what they say, the rates little.' : '';
    const notes = `${source(about)}${busy}${elsewhere(about, 'peers', 'other packages')}`;
    return `${table(['', ...results.map(({ host }) => host.label)], [...rows, ...ends])}\n\n${notes}`;
  });

/** Every way that ran, with the bytes of those that have a size. */
function bundlersTable({ rows, ...about }) {
  const bytes = (row, name) => (row.bytes ? kilobytes(row.bytes[name]) : '');
  const lines = rows.map((row) => [
    `${row.tool} ${row.version}`,
    row.way,
    row.threads,
    ...['raw', 'gzip', 'brotli'].map((name) => bytes(row, name)),
    row.chunk ? kilobytes(row.chunk.brotli) : '',
  ]);
  const head = ['tool', 'what ran', 'threads', 'raw', 'gzip', 'brotli', 'relaxed chunk, brotli'];
  return `${table(head, lines)}\n\nNext without the framework's own scripts. ${source(about)}`;
}

/** What models take of a worker's 128 MB: measured, then estimated. */
const edgeTable = () =>
  from('edge', ({ rows, estimates, workerd, ...about }) => {
    const shapes = {
      minilm: "MiniLM's shape (6 × 384)",
      'bge-small': "BGE-small's shape (12 × 384)",
      'bge-base': "BGE-base's shape (12 × 768)",
    };
    const megabytes = (bytes) => `${three(bytes / 1e6)} MB`;
    const measured = rows.map(({ model, weights, engine, heap }) => {
      const script = heap.totalSize + heap.backingStorageSize;
      return [shapes[model], weights, ...[engine.reserved, script, engine.reserved + script].map(megabytes)];
    });
    const wasMeasured = (one) => rows.some(({ model, weights }) => model === one.model && weights === one.weights);
    const estimated = estimates
      .filter((one) => !wasMeasured(one))
      .map(({ model, weights, total }) => [shapes[model], weights, `${megabytes(total)}, by \`estimate\``, '', '']);
    const head = ['model', 'weights', 'engine', "script's heap and buffers", 'together'];
    return `${table(head, [...measured, ...estimated])}\n\nIn ${workerd}. ${source(about)}`;
  });

const edgeScript = () =>
  from('edge', ({ script: { bytes, gzip } }) => `Minified, the script and its kernels are ${kilobytes(bytes)}, ${kilobytes(gzip)} gzip.`);

/** What stands between `<!-- docs:name -->` and `<!-- /docs -->`; what follows the name in the first goes to the function. */
const BLOCKS = {
  code,
  headline,
  schemes: () => registry.map(({ name }) => `\`${name}\``).join(', '),
  size: () => bySize('bundle of createEngine, rotary, attention'),
  aims: aimsTable,
  models: modelsTable,
  peers: () => from('peers', peerTable),
  'peers-two': () => under('Two threads:', 'peers-two-threads', () => from('peers-two-threads', peerTable)),
  cold: coldTable,
  edge: edgeTable,
  'edge-script': edgeScript,
  kernels: () =>
    under('## One tile\n\nSynchronous, one thread: the kernel with as little around it as a call has.', 'kernels', opsTable('kernels')),
  ops: () => under('## Operations, one thread', 'ops', opsTable('ops')),
  threads: () => under('## Threads', 'threads', threadsTable),
  encodings: encodingsTable,
  small: () =>
    under(
      '## Small calls\n\nMicroseconds of a synchronous call of 12 heads on one thread, and the share of the peak of arithmetic; † marks a call that takes longer than a larger\none of the same width.',
      'small',
      smallTable,
    ),
  runtimes: runtimesTable('runtimes'),
  'runtimes-int16': () =>
    under("In `precision: 'int16'`, the share of the peak of 16-bit products:", 'runtimes-int16', runtimesTable('runtimes-int16')) ||
    "The table is of `precision: 'reproducible'`. `npx relpos bench --precision int16` has the rates of 16-bit products on your machine.",
  sizes: sizesTable,
  bundlers: () => from('bundlers', bundlersTable),
  bulk: () => from('bulk', (result) => `${throughputBlock(result)}\n\n${source(result)}`),
  'long-context': () => from('long-context', (result) => `${contextBlock(result)}\n\n${source(result)}`),
  scale: () => from('long-context', scaleBlock),
};

function filled(path) {
  const marker = /(<!-- docs:([\w-]+)(?: ([\w./-]+))? -->)[\s\S]*?(<!-- \/docs -->)/g;
  return readFileSync(path, 'utf8').replace(marker, (_, start, name, detail, end) => {
    if (!Object.hasOwn(BLOCKS, name)) throw new Error(`${path}: no block "${name}"; there are ${Object.keys(BLOCKS).join(', ')}`);
    const block = BLOCKS[name](detail);
    return block ? `${start}\n${block}\n${end}` : `${start}\n${end}`;
  });
}

// ---- pictures

/** From low to high; one hue, legible on white and on black. */
const SHADES = [
  '#e8eef7',
  '#d3dfef',
  '#bccfe6',
  '#a3bddc',
  '#89aad1',
  '#7097c6',
  '#5983b9',
  '#4570aa',
  '#345d99',
  '#264b85',
  '#1a3a70',
  '#0f2a58',
];

/** Makers of numbers for a recipe: a table is a ramp over its rows, so that a shade tells which row a pair reads; the rest is 0. */
const makers = (engine) => ({
  engine,
  weights: (shape) => new Float32Array(shape.reduce((a, b) => a * b, 1)),
  table: (shape, axis = 0) => {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const rows = shape[axis];
    return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, n) => (Math.floor(n / inner) % rows) / rows);
  },
});

/** The scores of one head where every query and key is the same row: what is left is the position. Hidden pairs are undefined. */
async function scoresOf(engine, { make }, recipe) {
  const [H, D] = [1, 16];
  const L = lengthOf(recipe, recipe.form ? 36 : 32);
  const same = engine.tensor([1, H, L, D], new Float32Array(H * L * D).fill(0.5));
  // Values of the identity: the output is the weights, and ln w + lse the score.
  const identity = engine.tensor(
    [1, H, L, L],
    Float32Array.from({ length: L * L }, (_, n) => (Math.floor(n / L) === n % L ? 1 : 0)),
  );
  const encoding = make(recipe.options({ H, L, D }, makers(engine)), ...(recipe.arguments ?? []));
  const { out, lse } = await engine.attentionPartial(same, same, identity, { ...recipe.attention, encoding });
  const [weights, sums] = [out.toArray(), lse.toArray()];
  const scores = Array.from(weights, (w, n) => (w === 0 ? undefined : Math.log(w) + sums[Math.floor(n / L)]));
  for (const tensor of [same, identity, out, lse]) tensor.dispose();
  return { L, scores };
}

/** One path for each shade; a run of equal cells in a row is one line. */
function svg(name, { L, scores }) {
  const seen = scores.filter((s) => s !== undefined);
  const [low, high] = [Math.min(...seen), Math.max(...seen)];
  // The odd offset keeps equal steps of a table away from the borders of shades, where rounding would decide.
  const shade = (s) => (s === undefined ? undefined : Math.min(11, Math.floor(((s - low) / Math.max(high - low, 1e-6)) * 11.7 + 0.17)));
  const paths = SHADES.map(() => '');
  for (let i = 0; i < L; i++) {
    for (let j = 0; j < L; ) {
      const own = shade(scores[i * L + j]);
      let end = j + 1;
      while (end < L && shade(scores[i * L + end]) === own) end++;
      if (own !== undefined) paths[own] += `M${j} ${i}h${end - j}`;
      j = end;
    }
  }
  const lines = paths.map((d, n) => (d ? `<path stroke="${SHADES[n]}" d="${d}"/>` : '')).join('');
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="160" height="160" viewBox="0 -.5 ${L} ${L}" shape-rendering="crispEdges">` +
    `<title>${name}: score over key (right) and query (down); dark is high</title><g stroke-width="1">${lines}</g></svg>\n`
  );
}

async function pictures() {
  const engine = await createEngine({ threads: 1 });
  const drawn = new Map();
  for (const entry of registry) {
    const recipe = RECIPES[entry.name];
    if (!recipe || recipe.picture === false) continue;
    drawn.set(`docs/pictures/${entry.name}.svg`, svg(entry.name, await scoresOf(engine, entry, recipe)));
  }
  engine.dispose();
  return drawn;
}

// ---- docs/encodings.md

const escaped = (text) => text.replaceAll('|', '\\|');

/** Where Position Lab shows a scheme, as `npm run lab` and `npx relpos-lab` serve it. */
const LAB = 'http://127.0.0.1:4173/#/schemes?a=';

function encodingsPage(drawn) {
  const rows = registry.map(({ name, formula, options, models }) => {
    const picture = `pictures/${name}.svg`;
    const image = drawn.has(`docs/${picture}`) ? `<img src="${picture}" width="96" height="96" alt="${name}">` : '';
    return `| [\`${name}\`](${LAB}${name}) | ${image} | ${escaped(formula)} | ${escaped(options)} | ${escaped(models)} |`;
  });
  return `# Encodings

<!-- Written by scripts/docs.mjs from the schemes in src/encodings and src/huggingface; do not edit. -->

For query i and key j: s is a score, b a bias added to it, o an output. Each name is a constructor of the package; \`relpos encodings\` prints
this list. Every option, with its shape and the checkpoint's key, is in the constructor's types; [porting.md](porting.md) says how to find the
options of a model. Several encodings in an array add up.

Pictures: the score over keys (to the right) and queries (down) of one head, computed by the engine; dark is high, empty is hidden. All queries
and keys are the same row, and tables are ramps over their rows, so a shade tells which row a pair reads. Squares of cells are numbered row by row.

A name leads to the scheme in Position Lab, with sliders for what the formula has: the page is on no server but your own, so first start it there,
by \`npm run lab\` in a clone or \`npx relpos-lab\`. Wherever else it is served, the address ends the same way: \`#/schemes?a=t5\`.

| name | picture | formula | options | models |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

// ---- writing

const drawn = await pictures();
const wanted = new Map([...drawn, ['docs/encodings.md', encodingsPage(drawn)]]);
const recipes = readdirSync('docs/recipes').map((name) => `docs/recipes/${name}`);
for (const path of ['README.md', 'docs/benchmarks.md', 'docs/bundlers.md', 'docs/models.md', 'docs/scale.md', ...recipes])
  if (existsSync(path)) wanted.set(path, filled(path));

mkdirSync('docs/pictures', { recursive: true });
const stale = readdirSync('docs/pictures')
  .map((name) => `docs/pictures/${name}`)
  .filter((path) => !drawn.has(path));
const old = [...wanted].filter(([path, text]) => !existsSync(path) || readFileSync(path, 'utf8') !== text).map(([path]) => path);

if (process.argv.includes('--check')) {
  for (const path of [...old, ...stale]) console.error(`out of date: ${path}; run node scripts/docs.mjs`);
  process.exitCode = old.length + stale.length ? 1 : 0;
} else {
  for (const path of old) writeFileSync(path, wanted.get(path));
  for (const path of stale) rmSync(path);
  console.log(old.length + stale.length ? [...old, ...stale].join('\n') : 'nothing to do');
}
const undrawn = registry.filter(({ name }) => !RECIPES[name]).map(({ name }) => name);
if (undrawn.length) console.error(`no recipe: ${undrawn.join(', ')}`);
