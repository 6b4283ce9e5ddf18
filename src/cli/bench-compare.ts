// `relpos bench --compare`: how many times as fast each result is as the first, and whether the bits are the same.

import type { ParsedArgs } from './args.ts';
import { type Point, readSeries, type Series } from './bench-files.ts';
import { line } from './bench-table.ts';
import { type CliIo, EXIT, InputError } from './io.ts';
import { showTime } from './report.ts';
import { oneLine } from './text.ts';

/** Two results of which a case has other bits. */
interface Difference {
  readonly case: string;
  readonly names: readonly [string, string];
  readonly hashes: readonly [string, string];
}

/** Runs the comparison; the exit code is 1 if bits differ that should not. */
export async function compareFiles(args: ParsedArgs, io: CliIo): Promise<number> {
  const other = ['quick', 'only', 'threads', 'precision', 'json'].find(
    (name) => args.flags.has(name) || args.texts.has(name) || args.lists.has(name),
  );
  if (other !== undefined) throw new InputError(`--compare runs nothing: it does not go with --${other}`);
  if (args.positionals.length === 0) throw new InputError('--compare expected the files that --json wrote; see relpos bench --help');
  const series = await readSeries(args.positionals, io.signal);
  if (series.length < 2) throw new InputError('--compare expected two results or more, got one');
  io.stdout(table(series));
  const differences = differencesOf(series);
  io.stdout(verdict(series, differences));
  for (const { case: id, names, hashes } of differences) {
    io.stderr(`relpos: ${id}: ${oneLine(names[0])} has the bits ${hashes[0]}, ${oneLine(names[1])} ${hashes[1]}\n`);
  }
  return differences.length ? EXIT.failure : EXIT.ok;
}

const keyOf = ({ case: id, threads }: Point): string => `${id} ${threads}`;

/** How many times as fast as the first: 2 is half the time. */
function ratio(base: Point | undefined, own: Point | undefined): number | undefined {
  return base?.ms && own?.ms ? base.ms / own.ms : undefined;
}

function table(series: readonly Series[]): string {
  const keys = new Map(series.flatMap(({ points }) => points.map((point) => [keyOf(point), point] as const)));
  const width = Math.max(4, ...[...keys.values()].map(({ case: id }) => id.length)) + 2;
  const letters = series.map((_, n) => (n < 26 ? String.fromCharCode(65 + n) : `#${n + 1}`));
  const widths = [width, -7, ...series.flatMap((_, n) => (n === 0 ? [-11] : [-11, -8]))];
  const find = ({ points }: Series, key: string): Point | undefined => points.find((point) => keyOf(point) === key);
  const lines = [...keys].map(([key, { case: id, threads }]) => {
    const base = find(series[0] as Series, key);
    const cells = series.flatMap((one, n) => {
      const own = find(one, key);
      const time = own?.ms ? showTime(own.ms) : '–';
      const faster = ratio(base, own);
      return n === 0 ? [time] : [time, faster === undefined ? '' : `${faster.toFixed(2)}x`];
    });
    return line([id, String(threads), ...cells], widths);
  });
  const means = series.flatMap((one, n) => (n === 0 ? [''] : ['', meanRatio(series[0] as Series, one)]));
  return [
    ...series.map(({ name, host, file }, n) => `${letters[n]}  ${oneLine(`${name} (${file}): ${host}`)}\n`),
    '\n',
    line(['case', 'threads', ...series.flatMap((_, n) => (n === 0 ? ['A'] : [letters[n] as string, 'speed/A']))], widths),
    ...lines,
    line(['geometric mean', '', ...means], widths),
  ].join('');
}

function meanRatio(base: Series, own: Series): string {
  const found = own.points.flatMap((point) => {
    const faster = ratio(
      base.points.find((other) => keyOf(other) === keyOf(point)),
      point,
    );
    return faster === undefined ? [] : [Math.log(faster)];
  });
  return found.length ? `${Math.exp(found.reduce((a, b) => a + b, 0) / found.length).toFixed(2)}x` : '';
}

/** The results that have bits which are not their host's own. */
const judged = (series: readonly Series[]): Series[] =>
  series.filter(({ precision, points }) => precision !== 'relaxed' && points.some(({ hash }) => hash !== undefined));

/** A case as far as its bits go: each precision has its own. */
const bitsOf = ({ precision }: Series, id: string): string => (precision === 'reproducible' ? id : `${id} in ${precision}`);

/** Where bits differ from those of the first result that has the case. */
export function differencesOf(series: readonly Series[]): Difference[] {
  const first = new Map<string, { name: string; hash: string }>();
  const found = new Map<string, Difference>();
  for (const one of judged(series)) {
    const { name, points } = one;
    for (const { case: id, hash } of points) {
      if (hash === undefined) continue;
      const bits = bitsOf(one, id);
      const known = first.get(bits);
      if (known === undefined) first.set(bits, { name, hash });
      else if (known.hash !== hash) found.set(`${bits} ${name}`, { case: bits, names: [known.name, name], hashes: [known.hash, hash] });
    }
  }
  return [...found.values()];
}

/** Whether the bits are the same, in words. */
export function verdict(series: readonly Series[], differences: readonly Difference[]): string {
  const compared = judged(series);
  if (compared.length < 2) return '\nbits: not compared; there are no two results with hashes of a precision other than "relaxed"\n';
  const shared = compared.map((one) => new Set(one.points.map((point) => bitsOf(one, point.case))));
  const cases = [...new Set(shared.flatMap((ids) => [...ids]))].filter((id) => shared.filter((ids) => ids.has(id)).length > 1);
  const wrong = new Set(differences.map((one) => one.case));
  if (cases.length === 0) return '\nbits: not compared; no two results of one precision have a case in common\n';
  const same = cases.filter((id) => !wrong.has(id)).length;
  const who = compared.length === 2 ? 'both results have' : `two or more of the ${compared.length} results have`;
  return `\nbits: the same in ${same} of ${cases.length} cases that ${who}${wrong.size ? `; DIFFERENT in ${[...wrong].join(', ')}` : ''}\n`;
}
