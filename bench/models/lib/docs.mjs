/** The tables of docs/benchmarks.md from a recorded result: cells, for scripts/docs.mjs to lay out. */
import { cellText } from '../../peers/lib/aims.mjs';
import { limitsOf, SCALING, scalingOf, tableOf } from './aims.mjs';

const three = (x) => (x >= 1000 ? Math.round(x) : Number(x.toPrecision(3))).toString();

/** A dagger marks what is below its aim. */
const marked = (cell) => cellText(cell).replace(' !', ' †');

/** `fastest (its precision) to the other's: ratio of aim`. */
const compared = (cell) =>
  cell.ratio === undefined ? '–' : `${three(cell.own.medianMs)} to ${three(cell.other.medianMs)}: ${marked(cell)}`;

/** @returns `{ head, rows }` of every aim, and of what has no peer: two threads over one, and limits */
export function tablesOf(runs) {
  const labels = runs.map(({ label }) => label);
  const over = tableOf(runs).map(({ work, cells }) => [work, ...cells.map(compared)]);
  const scaling = SCALING.map((one) => [one.work, ...runs.map((run) => marked({ ratio: scalingOf(run, one), aim: one.aim }))]);
  const limits = runs.map(limitsOf);
  const small = (limits[0] ?? []).map(({ work, unit, most }, n) => [
    `${work}, ${unit}`,
    ...limits.map((own) => {
      const one = own[n];
      return one ? `${three(one.own)} of ${most}${one.own > most ? ' †' : ''} (${three(one.other)})` : '–';
    }),
  ]);
  return {
    over: { head: ['ms of relpos to ms of onnxruntime-web: times, of the aim', ...labels], rows: over },
    alone: { head: ['', ...labels], rows: [...scaling.filter((cells) => cells.slice(1).some((text) => text !== '–')), ...small] },
  };
}
