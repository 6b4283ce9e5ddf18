/** Turns the rows of a run into lines for the terminal. */
const COLUMNS = [
  { title: '', width: 58, text: (row) => `${row.peer}: ${row.variant}` },
  { title: 'threads', width: 8, text: (row) => String(row.threads) },
  { title: 'median ms', width: 11, text: (row) => milliseconds(row.medianMs) },
  { title: 'p10 - p90', width: 18, text: (row) => `${milliseconds(row.p10Ms)} - ${milliseconds(row.p90Ms)}` },
  { title: 'n', width: 5, text: (row) => String(row.samples) },
  { title: 'rate', width: 15, text: (row) => `${row.rate.toFixed(1)} ${row.unit}` },
  { title: 'of peak', width: 9, text: ({ share }) => (share === null ? '-' : `${Math.round(100 * share)} %`) },
  { title: 'max error', width: 11, text: (row) => row.maxError.toExponential(1) },
  { title: 'speed', width: 9, text: (row) => (row.speed === undefined ? '' : `${row.speed.toFixed(2)}x`) },
];

const milliseconds = (ms) => ms.toFixed(ms < 10 ? 3 : ms < 100 ? 2 : 1);

const line = (cell) =>
  COLUMNS.map((column, n) => (n === 0 ? cell(column).padEnd(column.width) : cell(column).padStart(column.width))).join('');

export const header = () => line(({ title }) => title);

/** @param result `{ id, rows, skipped, findings }` of one case */
export function caseLines({ id, rows, skipped, findings }) {
  return [
    '',
    id,
    ...rows.map((row) => line(({ text }) => text(row))),
    ...skipped.map(({ peer, reason }) => `${peer}: not run, ${reason}`),
    ...findings.map((finding) => `=> ${finding}`),
  ];
}

const bestSpeed = (rows, peer) => Math.max(...rows.filter((row) => row.peer === peer).map(({ speed }) => speed ?? 0));

/** One line a case: the speed of every peer's fastest row. */
export function summaryLines(results, peers) {
  const columns = (cells) => cells.map((cell) => cell.padStart(20)).join('');
  const speeds = ({ rows }) => peers.map((peer) => bestSpeed(rows, peer)).map((speed) => (speed > 0 ? `${speed.toFixed(2)}x` : '-'));
  return [
    '',
    'summary: speed of the fastest row of each',
    `${''.padEnd(24)}${columns(peers)}`,
    ...results.map((result) => `${result.id.padEnd(24)}${columns(speeds(result))}`),
  ];
}
