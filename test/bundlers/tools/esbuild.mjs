import { ENTRIES, findingsOfEntries } from '../entries.mjs';
import { versionOf } from '../program.mjs';

export const name = 'esbuild';
export const version = () => versionOf('esbuild');

export async function findings(host) {
  const { build } = await import('esbuild');
  return findingsOfEntries(name, host, async (absWorkingDir) => {
    const options = { bundle: true, splitting: true, format: 'esm', minify: true, outdir: 'dist', logLevel: 'error' };
    const { warnings } = await build({ absWorkingDir, entryPoints: ENTRIES, ...options });
    if (warnings.length) throw new Error(warnings.map(({ text }) => text).join('\n'));
  });
}
