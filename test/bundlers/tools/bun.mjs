// `bun build`: a page's scripts, and a compiled program that holds Bun itself.
import { join } from 'node:path';
import { ENTRIES, findingsOfEntries } from '../entries.mjs';
import { run, runtime, runtimeVersion } from '../program.mjs';

export const name = 'bun build';
export const version = () => runtimeVersion('bun');

export async function findings(host) {
  const bun = runtime('bun');
  const pages = await findingsOfEntries('bun', host, (folder) =>
    run(bun, ['build', '--target', 'browser', '--splitting', '--minify', '--outdir', 'dist', ...ENTRIES], folder),
  );
  const folder = host.make('bun-program', {});
  await run(bun, ['build', '--compile', '--minify', 'print.js', '--outfile', 'program'], folder);
  return [...pages, { way: 'compiled program', threads: 2, result: JSON.parse(await run(join(folder, 'program'), [], '/')) }];
}
