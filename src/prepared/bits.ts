// What a tensor holds, bit for bit. As numbers some NaN would come back as others.

import type { Tensor } from '../memory/tensor.ts';

type Bits = Uint16Array | Uint32Array;

/** A copy of the elements, which lie in any order; the returned function puts it back. @throws RelposError `disposed`, `lost`, as that does */
export function keepBits(tensor: Tensor): () => void {
  const Words = tensor.dtype === 'f32' ? Uint32Array : Uint16Array;
  const kept = new Words(tensor.size);
  const memory = (): Bits => new Words(tensor.context.arena.memory.buffer);
  eachRow(tensor, memory(), (all, at, index, n, stride) => {
    for (let x = 0; x < n; x++) kept[index + x] = all[at + x * stride] as number;
  });
  return () => {
    eachRow(tensor, memory(), (all, at, index, n, stride) => {
      for (let x = 0; x < n; x++) all[at + x * stride] = kept[index + x] as number;
    });
  };
}

/** A row of n elements, `stride` words apart from `at` on, which are those from `index` on in row-major order. */
type Visit = (all: Bits, at: number, index: number, n: number, stride: number) => void;

function eachRow({ shape, strides, size, pointer }: Tensor, all: Bits, visit: Visit): void {
  const last = shape.length - 1;
  const n = shape[last] as number;
  for (let index = 0; index < size; index += n) {
    let at = pointer / all.BYTES_PER_ELEMENT;
    for (let axis = last - 1, row = index / n; axis >= 0; axis--) {
      const length = shape[axis] as number;
      at += (row % length) * (strides[axis] as number);
      row = Math.floor(row / length);
    }
    visit(all, at, index, n, strides[last] as number);
  }
}
