import { join } from 'node:path';
import { ENTRIES, findingsOfEntries } from '../entries.mjs';
import { versionOf } from '../program.mjs';

export const name = 'rollup';
export const version = () => versionOf('rollup');

export async function findings(host) {
  const { rollup } = await import('rollup');
  const { default: resolve } = await import('@rollup/plugin-node-resolve');
  const { default: terser } = await import('@rollup/plugin-terser');
  const onwarn = ({ message }) => {
    throw new Error(message);
  };
  return findingsOfEntries(name, host, async (folder) => {
    const bundle = await rollup({ input: ENTRIES.map((entry) => join(folder, entry)), plugins: [resolve({ browser: true })], onwarn });
    await bundle.write({ dir: join(folder, 'dist'), plugins: [terser()] });
    await bundle.close();
  });
}
