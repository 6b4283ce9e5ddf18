import { describeHost } from '../bench/host.ts';
import type { BenchOptions, BenchResult } from '../bench/index.ts';
import { type ParsedArgs, parsePrecision, parseThreads, precisionSpec } from './args.ts';
import { compareFiles } from './bench-compare.ts';
import { header, headings, rowText, summary } from './bench-table.ts';
import type { Command } from './command.ts';
import { outputTarget, writeWhole } from './files.ts';
import { type CliIo, EXIT, InputError, progressLine, SILENT } from './io.ts';
import { quote } from './text.ts';
import { version } from './version.ts';

/** `relpos bench`: how fast this runtime on this machine is, and whether its bits are everybody's. */
export const bench: Command = {
  name: 'bench',
  summary: 'time attention, decoding, rotation and schemes on this host; compare results',
  usage: '[--quick] [options]  |  bench --compare <a.json> <b.json> ...',
  about: `Runs each case on one thread and on all. Its output is first compared with a plain f64 evaluation and hashed, then it is timed:
the median of samples, the rate, and the share of what this machine was measured to do at most. Arithmetic counts
4 B H L S D operations whatever the mask (the share counts visible pairs alone); decoding counts the keys and values that it
reads, a rotation one read and one write. All takes two minutes, --quick about 20 seconds; close what else uses the processor.

Equal hashes mean equal bits. --compare prints how many times as fast each is as the first file (2x = half the time), and exits
with 1 if two files of one precision differ in the bits of a case; those of "relaxed" are each host's own.
Exit code 1 also if an output is wrong. The module relpos/bench does the same in a page, a worker or a handler.`,
  examples: `  npx relpos bench --quick                          node
  deno run -A npm:relpos bench --quick
  bunx --bun relpos bench --quick
  relpos bench --only decode --threads 1 --json decode.json
  relpos bench --json - | jq .peak
  relpos bench --compare node.json deno.json bun.json
  relpos report node.json deno.json -o report.html`,
  options: {
    quick: { kind: 'flag', help: 'fewer cases, shorter samples: about 20 seconds' },
    only: { kind: 'text', value: '<pattern>', help: 'of all cases, also with --quick, those whose name fits this regular expression' },
    threads: { kind: 'list', value: '<n,...>', help: 'numbers of threads, or auto for all (1,auto)' },
    precision: precisionSpec,
    json: { kind: 'text', value: '<file>', help: 'write the result as JSON; - is stdout, in place of the table' },
    compare: { kind: 'flag', help: 'compare results that --json wrote; nothing is run' },
  },
  run: (args, io) => (args.flags.has('compare') ? compareFiles(args, io) : runBench(args, io)),
};

async function runBench(args: ParsedArgs, io: CliIo): Promise<number> {
  if (args.positionals.length > 0) throw new InputError('bench expected no files without --compare; see relpos bench --help');
  const json = args.texts.get('json');
  const target = json === undefined || json === '-' ? undefined : await outputTarget(json);
  const threads = args.lists.has('threads') ? (args.lists.get('threads') as readonly string[]).map(parseThreads) : ([1, 'auto'] as const);
  const only = args.texts.get('only');
  const print = json === '-' ? () => {} : (text: string) => void io.stdout(text);
  const result = await run(
    { threads, precision: parsePrecision(args.texts.get('precision')), logger: SILENT },
    { quick: args.flags.has('quick'), signal: io.signal, ...(only !== undefined && { only: pattern(only) }) },
    io,
    print,
  );
  print(summary(result));
  const text = `${JSON.stringify(result, null, 2)}\n`;
  if (json === '-') io.stdout(text);
  if (target !== undefined) await writeWhole(target, new TextEncoder().encode(text), io.signal);
  const failed = result.rows.filter(({ failure }) => failure !== undefined);
  for (const { case: id, threads, failure } of failed) io.stderr(`relpos: ${id} on ${threads} thread(s): ${failure}\n`);
  return failed.length ? EXIT.failure : EXIT.ok;
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new InputError(`--only expected a regular expression, got ${quote(text)}`);
  }
}

/** Runs it; rows are printed as they come. */
async function run(
  engines: Parameters<typeof import('../bench/index.ts')['bench']>[0],
  options: BenchOptions,
  io: CliIo,
  print: (text: string) => void,
): Promise<BenchResult> {
  // Loaded here alone: no other command needs the cases.
  const { bench } = await import('../bench/index.ts');
  const progress = progressLine(io, 'bench', 0);
  print(header(describeHost(), version()));
  print(headings());
  try {
    return await bench(engines, {
      ...options,
      onProgress({ done, total, row }) {
        progress.clear();
        if (row !== undefined) print(rowText(row));
        progress.update(done, total);
      },
    });
  } finally {
    progress.clear();
  }
}
