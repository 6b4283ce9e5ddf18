import { readFile, realpath } from 'node:fs/promises';
import type { ParsedArgs } from './args.ts';
import { readSeries } from './bench-files.ts';
import type { Command } from './command.ts';
import { outputTarget, writeWhole } from './files.ts';
import { pageOf } from './html-page.ts';
import { type CliIo, EXIT, InputError, shownPath } from './io.ts';

/** `relpos report`: results as one page with charts. */
export const report: Command = {
  name: 'report',
  summary: 'make one page with charts of what relpos bench --json wrote',
  usage: '<result.json> ... -o <report.html>',
  about: `Reads results of relpos bench, and of the repository's npm run bench:runtimes (several runtimes in one file) and bench:peers
(other packages), and writes one HTML file that needs nothing else, no network either: charts by case or by runtime, for each
number of threads, a table of the same numbers, the hosts, and whether the bits are the same. Files that are no results are
named and left out. An existing file is replaced.`,
  examples: `  relpos report node.json deno.json bun.json -o report.html
  relpos report *.json -o report.html --title "Two laptops"`,
  options: {
    output: { kind: 'text', short: 'o', value: '<file>', help: 'the page to write' },
    title: { kind: 'text', value: '<text>', help: 'its title (relpos benchmark)' },
  },
  run: runReport,
};

/** Where the build puts the page's script and style: beside dist/cli, and at the same place from src/cli. */
const asset = (name: string): URL => new URL(`../../dist/report/${name}`, import.meta.url);

async function runReport(args: ParsedArgs, io: CliIo): Promise<number> {
  if (args.positionals.length === 0) throw new InputError('report expected files that relpos bench --json wrote; see relpos report --help');
  const output = args.texts.get('output');
  if (output === undefined) throw new InputError('report expected -o <report.html>; see relpos report --help');
  const target = await outputTarget(output);
  const inputs = await Promise.all(args.positionals.map((path) => realpath(path).catch(() => undefined)));
  if (inputs.includes(await realpath(output).catch(() => ''))) {
    throw new InputError(`the page would replace ${shownPath(output)}, which is one of the results; name another file after -o`);
  }
  const series = await readSeries(args.positionals, io.signal, (message) => io.stderr(`relpos: ${message}; left out\n`));
  if (series.length === 0) throw new InputError('none of the files is a result of relpos bench --json; see relpos report --help');
  const [script, style] = await Promise.all(['page.js', 'page.css'].map((name) => readFile(asset(name), 'utf8')));
  const page = pageOf(series, { title: args.texts.get('title') ?? 'relpos benchmark', script: script as string, style: style as string });
  await writeWhole(target, new TextEncoder().encode(page), io.signal);
  io.stdout(`${shownPath(output)}: ${series.length} result${series.length > 1 ? 's' : ''}\n`);
  return EXIT.ok;
}
