// Kernels as text inside JavaScript: a byte that is frequent is one character, all others are two. 37 kB for 35 kB of kernels where base64
// takes 47, and what compresses stays visible to the compressor: 12 kB after brotli where base64 leaves 17. src/wasm/unpack.ts reads it.

/** The characters in use: those of printable ASCII that mean nothing in a string or to a reader of HTML. */
export const ALPHABET = Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n))
  .filter((character) => !'\'"\\`$<'.includes(character))
  .join('');

/** Characters that stand for a byte; the last two begin a pair. */
const SINGLES = ALPHABET.length - 2;

/**
 * @returns `common`: the bytes that are one character each, most frequent first, as base64; all others rank behind them in ascending order.
 * `text`: the bytes by their ranks.
 */
export function packKernels(bytes) {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]++;
  const common = Array.from(counts.keys())
    .sort((a, b) => counts[b] - counts[a] || a - b)
    .slice(0, SINGLES);
  const rare = Array.from(counts.keys()).filter((byte) => !common.includes(byte));
  const spelling = new Map();
  for (const [rank, byte] of common.entries()) spelling.set(byte, ALPHABET[rank]);
  for (const [rank, byte] of rare.entries()) {
    const pair = Math.floor(rank / ALPHABET.length);
    spelling.set(byte, ALPHABET[SINGLES + pair] + ALPHABET[rank % ALPHABET.length]);
  }
  return { common: Buffer.from(common).toString('base64'), text: Array.from(bytes, (byte) => spelling.get(byte)).join('') };
}
