// One file for a host that has no modules of its own to load, as the tools of such hosts make it: esbuild with the host's conditions, every
// import of WebAssembly left to the host, which gives a compiled module for it.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';

/**
 * Bundles `entry` of the project.
 *
 * @param conditions of package.json's "exports"
 * @param format `'esm'` or `'iife'`
 * @param moduleOf in what form the code of the bundle has a module of WebAssembly, as JavaScript: an import, a global
 * @returns the text, and the bytes of the modules it needs by name
 */
export async function bundleFor(project, entry, { conditions, format, moduleOf }) {
  const wasm = new Map();
  const plugin = {
    name: 'wasm',
    setup({ onResolve, onLoad, resolve }) {
      onResolve({ filter: /\.wasm(\?module)?$/ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (pluginData === 'asked') return undefined;
        const { path: file, errors } = await resolve(path.replace(/\?module$/, ''), { importer, resolveDir, kind, pluginData: 'asked' });
        if (errors.length) return { errors };
        wasm.set(basename(file), readFileSync(file));
        return moduleOf ? { path: basename(file), namespace: 'wasm' } : { path: `./${basename(file)}`, external: true };
      });
      onLoad({ filter: /./, namespace: 'wasm' }, ({ path }) => ({
        contents: `export default ${moduleOf(path)};`,
        resolveDir: dirname(path),
      }));
    },
  };
  const { outputFiles } = await build({
    entryPoints: [join(project.folder, entry)],
    bundle: true,
    write: false,
    format,
    target: 'es2022',
    conditions,
    mainFields: ['browser', 'module', 'main'],
    plugins: [plugin],
    logLevel: 'error',
  });
  return { text: outputFiles[0].text, wasm };
}
