import { build } from 'esbuild';

/** One of this folder's files with all it imports, as one module that any runtime can run. */
export async function bundle(entry: string, format: 'esm' | 'iife' = 'esm'): Promise<string> {
  const entryPoints = [new URL(entry, import.meta.url).pathname];
  const { outputFiles } = await build({ entryPoints, bundle: true, write: false, format, target: 'es2022' });
  return outputFiles[0]?.text ?? '';
}
