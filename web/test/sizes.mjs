// What a visitor loads before any model: everything of the built page that is no model and not onnxruntime, by panel and in all.
import { readdirSync, readFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';
import { site } from './server.mjs';

/** Bytes with brotli, as good hosts send them. */
const BUDGET = 300_000;
/** What is loaded on demand alone: models when their panel opens, and what relpos is compared with when that is asked for. */
const ON_DEMAND = /^(models|onnxruntime)\//;

const brotli = (path) => brotliCompressSync(readFileSync(`${site}/${path}`), { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;

/** The size of the page's own files. */
export function sizeChecks() {
  const files = readdirSync(site, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(site.length + 1))
    .filter((path) => !ON_DEMAND.test(path));
  const sizes = files.map((path) => ({ path, bytes: brotli(path) })).sort((a, b) => b.bytes - a.bytes);
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { path, bytes } of sizes) if (bytes > 2000) console.log(`lab: ${path}: ${bytes} bytes with brotli`);
  console.log(`lab: the whole page before models: ${total} bytes with brotli, ${files.length} files`);
  return [
    { name: 'size of the page before models', ...(total > BUDGET && { error: `${total} bytes with brotli, and the budget is ${BUDGET}` }) },
  ];
}
