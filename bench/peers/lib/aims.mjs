/**
 * The table of aims: how many times as fast as the fastest row of another package relpos is meant to be, by work, runtime and precision, and what a run
 * came to. Ratios of medians over alternations in one process.
 */

const WEB = 'onnxruntime-web';
const NATIVE = 'onnxruntime-node';

/** Aims of Node 24 and Node 20; a browser's, where there are some. */
const aims = (node24, node20, browser = {}) => ({ node24, node20, chromium: browser, firefox: browser });

const both = (own) => aims(own, own);

const square = (shape, own) => ({ work: shape.replaceAll('x', '×'), case: `attention/${shape}`, aims: own });
const causal = (shape, own) => ({ work: `causal ${shape.replaceAll('x', '×')}`, case: `causal/${shape}`, aims: own });

const medium = [
  { reproducible: 1.4, relaxed: 1.85, int16: 2.2 },
  { reproducible: 1.5, int16: 2.45 },
];
const mediumCausal = [
  { reproducible: 2.8, relaxed: 3.5, int16: 4.1 },
  { reproducible: 3, int16: 5 },
];

const decode = (past, D, byStorage) =>
  Object.entries(byStorage).map(([storage, own]) => ({
    work: `decode ${past}×${D}, ${storage} cache`,
    case: `decode/${past}xH32G8x${D}`,
    storage,
    aims: own,
  }));

/** The rows. A cache of integers is meant for int16, which reads it as it is. */
export const AIMS = [
  square('512x12x64', aims(...medium, { int16: 2.1 })),
  square('1024x8x64', aims(...medium)),
  square('2048x8x128', aims({ reproducible: 1.25, relaxed: 1.65, int16: 2.2 }, { reproducible: 1.5, int16: 2.5 })),
  causal('512x12x64', aims(...mediumCausal, { int16: 3.9 })),
  causal('1024x8x64', aims(...mediumCausal)),
  causal('2048x8x128', aims({ reproducible: 2.55, relaxed: 3.2, int16: 4.3 }, { reproducible: 2.8, int16: 5 })),
  square('128x12x64', both({ int16: 2 })),
  causal('128x12x64', both({ int16: 3.3 })),
  ...decode(4095, 128, { f32: both({ reproducible: 3 }), i16: both({ int16: 6 }), i8: both({ int16: 7 }) }),
  ...decode(2047, 64, { f32: aims({ reproducible: 2.2 }, { reproducible: 2.5 }), i16: aims({ int16: 4 }, { int16: 4.5 }) }),
  ...decode(511, 64, { f32: aims({ reproducible: 2.2 }, { reproducible: 2.5 }), i16: aims({ int16: 4 }, { int16: 4.5 }) }),
  { work: 'rotate 2048×32×128', case: 'rotary/2048x32x128', aims: both({ reproducible: 6 }) },
  { work: 'the same over native code', case: 'rotary/2048x32x128', against: NATIVE, aims: both({ reproducible: 1 }) },
  { work: 'rotate 512×32×64, over native code', case: 'rotary/512x32x64', against: NATIVE, aims: both({ reproducible: 1 }) },
];

/** What a browser runs of them: each has the time for two. */
export const BROWSER_CASES = ['attention/512x12x64', 'causal/512x12x64'];

const fastest = (rows, time) => Math.min(...rows.map((row) => row[time]));

/** The ratio of one row in one precision, by one of its times; undefined if one of the two did not run. */
function ratioOf({ results }, { case: id, storage, against = WEB }, name, time) {
  const rows = results.find((result) => result.id === id)?.rows ?? [];
  const own = rows.filter((row) => row.peer === name && !row.plain && row.storage === storage);
  const other = rows.filter((row) => row.peer === against && row.sameWork);
  return own.length && other.length ? fastest(other, time) / fastest(own, time) : undefined;
}

const precisionOf = (name) => (name === 'relpos' ? 'reproducible' : name.replace('relpos ', ''));

/**
 * What a run came to.
 *
 * @param runs `{ host, label, peers, results }` of each host
 * @param time `medianMs`; or `minMs`, the least time, for a machine that is busy with other work
 * @returns `{ columns: [{ host, label, precision }], rows: [{ work, cells: [{ ratio, aim }] }] }`, without rows that have no ratio at all
 */
export function tableOf(runs, time = 'medianMs') {
  const columns = runs.flatMap((run) =>
    Object.keys(run.peers)
      .filter((name) => name.split(' ')[0] === 'relpos')
      .map((name) => ({ run, name, host: run.host, label: run.label, precision: precisionOf(name) })),
  );
  const rows = AIMS.map((row) => ({
    work: row.work,
    cells: columns.map(({ run, name, host, precision }) => ({ ratio: ratioOf(run, row, name, time), aim: row.aims[host]?.[precision] })),
  }));
  return {
    columns: columns.map(({ host, label, precision }) => ({ host, label, precision })),
    rows: rows.filter(({ cells }) => cells.some(({ ratio }) => ratio !== undefined)),
  };
}

/** `1.42 of 1.40`: what it is, and what it is meant to be; `!` where it is less. */
export function cellText({ ratio, aim }) {
  if (ratio === undefined) return '–';
  if (aim === undefined) return ratio.toFixed(2);
  return `${ratio.toFixed(2)} of ${aim.toFixed(2)}${Number(ratio.toFixed(2)) < aim ? ' !' : ''}`;
}

/** The table for a terminal: its columns are hosts and precisions. */
export function tableLines(runs, time) {
  const { columns, rows } = tableOf(runs, time);
  const widths = columns.map(({ label }) => Math.max(15, label.length + 2));
  const line = (first, cells) => `${first.padEnd(36)}${cells.map((cell, n) => cell.padStart(widths[n])).join('')}`;
  const named = columns.map(({ label }, n) => (columns[n - 1]?.label === label ? '' : label));
  return [
    line('', named),
    line(
      'times the fastest row',
      columns.map(({ precision }) => precision),
    ),
    ...rows.map(({ work, cells }) => line(work, cells.map(cellText))),
  ];
}
