/** Weights in fewer bits, as onnxruntime's own tools make them: `quantize_dynamic` for int8, blocks of 32 for MatMulNBits. Weights are [out, width]. */

/** [rows, columns] → [columns, rows], in tiles that stay in the cache. */
export function transposed(data, rows, columns) {
  const result = new data.constructor(data.length);
  const TILE = 32;
  for (let r0 = 0; r0 < rows; r0 += TILE) {
    for (let c0 = 0; c0 < columns; c0 += TILE) {
      for (let r = r0; r < Math.min(r0 + TILE, rows); r++) {
        for (let c = c0; c < Math.min(c0 + TILE, columns); c++) result[c * rows + r] = data[r * columns + c];
      }
    }
  }
  return result;
}

const largest = (data, from = 0, to = data.length) => {
  let most = 0;
  for (let n = from; n < to; n++) most = Math.max(most, Math.abs(data[n]));
  return most;
};

/** Signed bytes of one scale for the whole tensor, zero at 0. */
export function int8(data) {
  const scale = largest(data) / 127 || 1;
  const bytes = new Int8Array(data.length);
  for (let n = 0; n < data.length; n++) bytes[n] = Math.round(data[n] / scale);
  return { scale, data: bytes };
}

/** Unsigned bytes between the least and the largest number, 0 among them. */
export function uint8(data) {
  let [low, high] = [0, 0];
  for (let n = 0; n < data.length; n++) {
    low = Math.min(low, data[n]);
    high = Math.max(high, data[n]);
  }
  const scale = (high - low) / 255 || 1;
  const zero = Math.round(-low / scale);
  const bytes = new Uint8Array(data.length);
  for (let n = 0; n < data.length; n++) bytes[n] = Math.min(255, Math.max(0, Math.round(data[n] / scale) + zero));
  return { scale, zero, data: bytes };
}

export const BLOCK = 32;

/** Two numbers a byte, the first in its lower half, 8 stands for 0; a scale for each block of a row. */
export function int4(data) {
  const packed = new Uint8Array(data.length / 2);
  const scales = new Float32Array(data.length / BLOCK);
  for (let block = 0; block < scales.length; block++) {
    const from = block * BLOCK;
    const scale = Math.fround(largest(data, from, from + BLOCK) / 7) || 1;
    scales[block] = scale;
    const step = (n) => Math.min(15, Math.max(0, Math.round(data[n] / scale) + 8));
    for (let n = from; n < from + BLOCK; n += 2) packed[n / 2] = step(n) | (step(n + 1) << 4);
  }
  return { packed, scales };
}
