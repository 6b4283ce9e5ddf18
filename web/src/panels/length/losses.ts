import type { Model } from './model.ts';

/** Bytes that a loss is the mean of: every window is a whole number of such blocks. */
export const BLOCK = 32;
/** Bytes of a step: enough for the kernels to be busy, few enough for a stop to be heard soon. */
const STEP = 2048;
const VOCABULARY = 256;

/** Whole windows of a text: each of their bytes has one after it. */
export const windowsOf = (bytes: number, window: number): number => Math.max(0, Math.floor((bytes - 1) / window));

/**
 * The mean loss, in nats a byte, of each block of a text: read in windows that do not overlap, nothing before a window's first byte. Block n is of
 * the bytes that follow bytes 32·n … 32·n + 31.
 *
 * @param goOn asked before each step; false ends it
 * @returns [windows · window / 32], or undefined if it was ended
 */
export async function blockLosses(
  model: Model,
  window: number,
  text: Uint8Array,
  goOn: () => Promise<boolean> = async () => true,
): Promise<Float32Array | undefined> {
  const whole = windowsOf(text.length, window) * window;
  const step = Math.max(STEP, window);
  const losses = new Float32Array(whole / BLOCK);
  for (let start = 0; start < whole; start += step) {
    if (!(await goOn())) return undefined;
    const end = Math.min(start + step, whole);
    using found = await model.logProbabilities(text.subarray(start, end));
    const logs = found.view() as Float32Array;
    for (let block = start / BLOCK; block < end / BLOCK; block++) {
      let sum = 0;
      for (let n = block * BLOCK; n < (block + 1) * BLOCK; n++) sum -= logs[(n - start) * VOCABULARY + (text[n + 1] as number)] as number;
      losses[block] = sum / BLOCK;
    }
  }
  return losses;
}
