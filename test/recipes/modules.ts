/** A worker as Cloudflare's wrangler makes it of a script and its settings. */
import { copyFileSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

/** Puts the worker and what it imports beside each other: scripts in one file, kernels as modules. Returns the names of the kernels. */
export async function bundleWorker(folder: string, entry: string): Promise<string[]> {
  const kernels: string[] = [];
  await build({
    entryPoints: [join(folder, entry)],
    bundle: true,
    outfile: join(folder, 'bundle.mjs'),
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    logLevel: 'error',
    plugins: [
      {
        name: 'kernels are modules',
        setup({ onResolve }) {
          onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => {
            const name = basename(path);
            if (!kernels.includes(name)) kernels.push(name);
            copyFileSync(join(resolveDir, path), join(folder, name));
            return { path: `./${name}`, external: true };
          });
        },
      },
    ],
  });
  return kernels;
}

/** What is used of a wrangler.jsonc. */
export interface Settings {
  readonly compatibility_date: string;
  readonly compatibility_flags: readonly string[];
  readonly vars?: Readonly<Record<string, string>>;
}

export function readSettings(path: string): Settings {
  return JSON.parse(readFileSync(path, 'utf8').replace(/^ *\/\/.*$/gm, '')) as Settings;
}
