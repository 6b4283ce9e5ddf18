// What a page loads of an import: the built package through esbuild, minified; what is loaded only when it is asked for does not count.
import { basename } from 'node:path';
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

/** Bundles `code`, which lies in `folder`. @returns bytes as they are, after gzip and after brotli, each file by itself */
export async function bundleSize(folder, code) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: folder, sourcefile: PAGE },
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    outdir: folder,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    external: ['*.wasm', '*.wasm?module', '@huggingface/*'],
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
