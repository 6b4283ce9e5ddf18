// What `relpos attend` prints.

import { shapeText } from '../arguments/check.ts';
import type { SafeTensor } from '../safetensors/index.ts';
import type { Outcome } from './attend-run.ts';
import type { Task } from './attend-task.ts';
import { showEncoding } from './case.ts';
import { shownPath } from './io.ts';
import { digits, jsonNumber, median, rows, showTime } from './report.ts';
import { oneLine, quote } from './text.ts';
import { version } from './version.ts';

/** Operations per second in thousand millions. */
function rate(task: Task, outcome: Outcome): number {
  return task.operations / median(timesOf(outcome)) / 1e6;
}

/** The runs that the report is about: those after the first, if there are any. */
const timesOf = ({ first, times }: Outcome): readonly number[] => (times.length ? times : [first]);

/** As lines for a reader. */
export function textReport(task: Task, outcome: Outcome, output: string | undefined): string {
  const shape = ({ dtype, shape }: SafeTensor): string => `${shapeText(shape)} ${dtype.toLowerCase()}`;
  const { threads, requestedThreads, reason } = outcome.capabilities;
  const { encodings, attention } = task.job;
  const lines: [string, string][] = [
    ['q', shape(task.inputs.q)],
    ['k', shape(task.inputs.k)],
    ['v', shape(task.inputs.v)],
    ['out', shape(outcome.out)],
    ['encoding', encodings.map(showEncoding).join(' + ') || 'none'],
  ];
  if (Object.keys(attention).length > 0) lines.push(['attention', showEncoding({ name: '', options: attention }).slice(2, -1)]);
  lines.push(['threads', `${threads} (asked: ${requestedThreads}${reason === undefined ? '' : `; ${reason}`})`]);
  const count = outcome.times.length;
  const runs = count ? `median of ${count} warm run${count > 1 ? 's' : ''} (the first: ${showTime(outcome.first)})` : 'one cold run';
  lines.push(['time', `${showTime(median(timesOf(outcome)))}, ${runs}, ${task.precision}`]);
  lines.push(['rate', `${digits(rate(task, outcome))} GFLOP/s${count ? '' : ' (cold)'}`]);
  if (task.expected !== undefined && outcome.difference !== undefined) {
    const { largest, relative, index, tolerance, within } = outcome.difference;
    const where = coordinates(index, outcome.out.shape).join(', ');
    const at = largest === 0 ? '' : `, at [${where}]`;
    lines.push([
      'difference',
      `${digits(largest)} at most from ${quote(task.expected.name)}, ${digits(relative)} of its largest${at}; ${within ? 'within' : 'BEYOND'} ${digits(tolerance)}`,
    ]);
  }
  if (output !== undefined) lines.push(['written', shownPath(output)]);
  return rows(lines.map(([label, text]) => [label, oneLine(text)]));
}

/** The indices of element `index` of a tensor of this shape. */
function coordinates(index: number, shape: readonly number[]): number[] {
  let rest = index;
  const reversed = [...shape].reverse().map((size) => {
    const at = rest % size;
    rest = Math.floor(rest / size);
    return at;
  });
  return reversed.reverse();
}

/** As one object. */
export function jsonReport(task: Task, outcome: Outcome, output: string | undefined): object {
  const tensor = ({ dtype, shape }: SafeTensor): object => ({ dtype: dtype.toLowerCase(), shape });
  const { expected, inputs } = task;
  const { difference, first } = outcome;
  const times = timesOf(outcome);
  return {
    relpos: version(),
    input: task.path,
    tensors: { q: tensor(inputs.q), k: tensor(inputs.k), v: tensor(inputs.v), out: tensor(outcome.out), lse: tensor(outcome.lse) },
    encoding: task.job.encodings,
    attention: task.job.attention,
    precision: task.precision,
    capabilities: outcome.capabilities,
    milliseconds: { first, median: median(times), least: Math.min(...times), most: Math.max(...times), runs: outcome.times.length },
    gflops: jsonNumber(rate(task, outcome)),
    difference:
      expected === undefined || difference === undefined
        ? null
        : {
            from: expected.name,
            largest: jsonNumber(difference.largest),
            relative: jsonNumber(difference.relative),
            at: coordinates(difference.index, outcome.out.shape),
            tolerance: difference.tolerance,
            within: difference.within,
          },
    output: output ?? null,
  };
}
