// Bytes of what a tool made.
import { readFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const sum = (contents, measure) => contents.reduce((total, content) => total + measure(content).length, 0);

/** As it is, with gzip, with brotli: file by file, as a server sends them. */
export function sizesOf(contents) {
  const bytes = contents.map((content) => Buffer.from(content));
  return {
    raw: sum(bytes, (b) => b),
    gzip: sum(bytes, (b) => gzipSync(b, { level: 9 })),
    brotli: sum(bytes, (b) => brotliCompressSync(b)),
  };
}

/** Those of a finding: the scripts of a page, or the files of a program; nothing where neither says what the library takes. */
export function bytesOf({ scripts, files }) {
  if (scripts) return sizesOf([...scripts.values()]);
  return files && sizesOf(files.map((path) => readFileSync(path)));
}
