// What the page weighs with brotli, as good hosts send it, without what is loaded on demand alone: models, and onnxruntime.
import { readdirSync, readFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';
import { site } from './server.mjs';

/** Bytes that a panel may need before it shows something. */
export const BUDGET = 300_000;
const OWN = /^(?!models\/|onnxruntime\/|__lab\/)/;

const known = new Map();

/** Bytes of a file; panels share most of theirs, and the best compression takes its time. */
function brotli(path) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
  if (!known.has(path)) known.set(path, brotliCompressSync(readFileSync(`${site}/${path}`), { params }).length);
  return known.get(path);
}

/** The size of some files of the site. */
export const sizeOf = (paths) => paths.filter((path) => OWN.test(path)).reduce((sum, path) => sum + brotli(path), 0);

/** All files of the site. */
export const filesOfSite = () =>
  readdirSync(site, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(site.length + 1));
