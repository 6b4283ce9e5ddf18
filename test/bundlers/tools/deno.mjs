// `deno bundle`: a page's scripts, and a program for Deno itself.
import { join } from 'node:path';
import { ENTRIES, findingsOfEntries } from '../entries.mjs';
import { run, runtime, runtimeVersion } from '../program.mjs';

export const name = 'deno bundle';
export const version = () => runtimeVersion('deno');

export async function findings(host) {
  const deno = runtime('deno');
  const pages = await findingsOfEntries('deno', host, (folder) =>
    run(deno, ['bundle', '--platform', 'browser', '--code-splitting', '--minify', '--outdir', 'dist', ...ENTRIES], folder),
  );
  const folder = host.make('deno-program', {});
  await run(deno, ['bundle', '--minify', '--output', 'bundle.js', 'print.js'], folder);
  const printed = await run(deno, ['run', 'bundle.js'], folder);
  return [...pages, { way: 'program in Deno', threads: 2, result: JSON.parse(printed), files: [join(folder, 'bundle.js')] }];
}
