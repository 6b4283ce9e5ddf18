/** What the benchmark prints: every row of a result, and the table of aims. */
import { cellText } from '../../peers/lib/aims.mjs';
import { coldTable } from '../../peers/lib/cold.mjs';
import { limitsOf, SCALING, scalingOf, tableOf } from './aims.mjs';

const milliseconds = (ms) => ms.toFixed(ms < 10 ? 3 : ms < 100 ? 2 : 1);

const rate = ({ amount, unit }, { medianMs }) => (unit === 'ms' ? '' : `${((1000 * amount) / medianMs).toFixed(1)} ${unit}`);

/** One result: a line for each contender, and those that did not run with the reason. */
export function resultLines(result) {
  if (result.cold) return ['', `${result.id}, medians of ${result.processes} processes`, ...coldTable(result.cold)];
  if (result.shipped) {
    const lines = result.shipped.map(({ name, bytes, gzip }) => `  ${name.padEnd(24)}${bytes} bytes, ${gzip} gzip`);
    return ['', result.id, ...lines];
  }
  const line = (row) =>
    [
      `  ${`${row.peer}: ${row.variant}`.padEnd(52)}`,
      `${row.threads} thread${row.threads > 1 ? 's' : ''}`.padEnd(10),
      milliseconds(row.medianMs).padStart(10),
      `${milliseconds(row.p10Ms)} - ${milliseconds(row.p90Ms)}`.padStart(20),
      `n ${row.samples}`.padStart(6),
      `cosine ${row.cosine.toFixed(6)}`.padStart(18),
      row.greedy === undefined ? '' : `${row.greedy} of 8 tokens`.padStart(16),
      rate(result, row).padStart(18),
    ].join('');
  return ['', result.id, ...result.rows.map(line), ...result.skipped.map(({ peer, reason }) => `  ${peer}: not run, ${reason}`)];
}

/** The table of aims for a terminal. */
export function tableLines(runs, time = 'medianMs') {
  const width = 52;
  const cell = (one) =>
    one.ratio === undefined
      ? '–'
      : `${milliseconds(one.own[time])} (${one.own.variant.split(', ')[1]}) to ${milliseconds(one.other[time])}: ${cellText(one)}`;
  return [
    `${''.padEnd(34)}${runs.map(({ label }) => label.padStart(width)).join('')}`,
    ...tableOf(runs, time).map(({ work, cells }) => `${work.padEnd(34)}${cells.map((one) => cell(one).padStart(width)).join('')}`),
  ];
}

/** Two threads over one, and what is meant to be small, for a terminal. */
export function limitLines(runs, time = 'medianMs') {
  return runs.flatMap((run) => {
    const scaling = SCALING.map((one) => ({ ...one, ratio: scalingOf(run, one, time) })).filter(({ ratio }) => ratio !== undefined);
    const lines = [
      ...scaling.map((one) => `  ${one.work}: ${cellText(one)}`),
      ...limitsOf(run).map(
        ({ work, unit, most, own, other }) =>
          `  ${work}: ${own.toFixed(0)} ${unit}, at most ${most}${own > most ? ' !' : ''} (onnxruntime-web ${other.toFixed(0)} ${unit})`,
      ),
    ];
    return lines.length ? [run.label, ...lines] : [];
  });
}
