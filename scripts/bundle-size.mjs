// What a page loads of an import: the built package through esbuild, minified; what is loaded only when it is asked for does not count.
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** What the code that is bundled is called. */
const PAGE = 'page.js';

/** The output files that the page needs at once. */
function firstLoad({ outputs }) {
  const [first] = Object.entries(outputs).find(([, { entryPoint }]) => basename(entryPoint ?? '') === PAGE);
  const found = new Set([first]);
  for (const path of found) {
    for (const { path: next, kind } of outputs[path].imports) if (kind === 'import-statement' && outputs[next]) found.add(next);
  }
  return [...found].map((path) => basename(path));
}

/** Packages that the package loads, for a folder that has none. */
const PACKAGES = fileURLToPath(new URL('../node_modules', import.meta.url));

/** What is loaded on demand goes into the bundle if its file's name begins with one of these names, and stays outside otherwise. */
const loading = (names) => ({
  name: 'loading',
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ kind, path }) => {
      const wanted = names.some((name) => basename(path) === name || basename(path).startsWith(`${name}-`));
      return kind === 'dynamic-import' && !wanted ? { path, external: true } : undefined;
    });
  },
});

/**
 * Bundles `code`, which lies in `folder`.
 *
 * @param loads files that a program loads on demand, by the beginnings of their names: all that it runs is then one file
 * @returns bytes as they are, after gzip and after brotli, each file by itself
 */
export async function bundleSize(folder, code, loads) {
  const { outputFiles, metafile } = await build({
    // Names of files carry a hash of their sources' places, seen from here. It is the same wherever the folder lies then: a letter costs brotli up to
    // 100 bytes either way (ten programs that were alike but for one had 91,770 to 91,971, with gzip 108,771 to 108,812).
    absWorkingDir: folder,
    stdin: { contents: code, resolveDir: folder, sourcefile: PAGE },
    bundle: true,
    splitting: !loads,
    write: false,
    metafile: true,
    outdir: folder,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    external: ['*.wasm', '*.wasm?module', ...(loads ? [] : ['@huggingface/*'])],
    ...(loads && { plugins: [loading(loads)], nodePaths: [PACKAGES] }),
    logLevel: 'error',
  });
  const names = firstLoad(metafile);
  const files = outputFiles.filter(({ path }) => names.includes(basename(path))).map(({ contents }) => contents);
  const sum = (bytes) => files.reduce((total, file) => total + bytes(file), 0);
  return {
    bytes: sum((file) => file.length),
    gzip: sum((file) => gzipSync(file, { level: 9 }).length),
    brotli: sum((file) => brotliCompressSync(file).length),
  };
}
