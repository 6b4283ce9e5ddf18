// Masks as tensors: bytes that hide where they are 0, or numbers that are added. Read in place wherever their elements lie so that they can.

import { shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { safeTensor } from '../arguments/numbers.ts';
import { aMaskTensor, arrayOf, DTYPES, type DType } from '../memory/dtypes.ts';
import { FileTensor, type Operand, placeOperand } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import { type MemoryContext, makeTensor, Tensor } from '../memory/tensor.ts';
import type { Place, Shape } from '../plan/plan.ts';
import * as field from '../wasm/generated/job.ts';

/** Types of files that are masks: bytes that hide where they are 0, or numbers that are added. */
const MASK_FILES: Readonly<Record<string, DType>> = { BOOL: 'i8', I8: 'i8', U8: 'i8', F16: 'f32', BF16: 'f32', F32: 'f32', F64: 'f32' };

/** A mask of a safetensors file, checked; undefined for what is none of a file. */
export function readMaskFile(where: string, name: string, value: unknown): FileTensor | undefined {
  const file = safeTensor(where, name, value);
  if (!file) return undefined;
  const dtype = Object.hasOwn(MASK_FILES, file.dtype) ? MASK_FILES[file.dtype] : undefined;
  if (!dtype) throw wrongType(where, name, aMaskTensor(), file.dtype);
  // A byte hides where it is 0, whatever else it means.
  return new FileTensor(dtype === 'i8' ? { ...file, dtype: DTYPES.i8.safetensors } : file, dtype);
}

/** @throws TypeError, RangeError if the tensor is none of this engine that spreads over [B, H, L, S] */
export function checkMaskTensor(
  where: string,
  name: string,
  tensor: Operand,
  { B, H, L, S }: Shape,
  { totalKeys }: Place,
  context: MemoryContext,
): void {
  if (tensor instanceof Tensor) {
    if (tensor.context.kernels !== context.kernels) throw wrongValue(where, name, 'a tensor of this engine', 'one of another engine');
    if (!DTYPES[tensor.dtype].mask) throw wrongType(where, name, aMaskTensor(), tensor.dtype);
    void tensor.pointer; // throws if it was disposed
  }
  const rank = tensor.shape.length;
  const allowed = [
    [1, B],
    [1, H],
    [1, L],
    [1, S, totalKeys],
  ].slice(4 - rank);
  const [rows] = tensor.shape;
  if (rank === 2 && rows === B && B > 1 && [S, totalKeys].includes(tensor.shape[1] as number)) {
    const because = 'for padding take keyPadding({ lengths }); a mask [L, S] of as many rows is given as [1, 1, L, S]';
    const expected = rows === L ? `shape [1, 1, L=${L}, S=${S}] spelt out since B=L=${B}` : `shape [1|L=${L}, S=${S}]`;
    throw wrongValue(where, name, expected, `${shapeText(tensor.shape)}, which may be [B, S]`, because);
  }
  if (rank < 1 || rank > 4 || tensor.shape.some((n, axis) => !allowed[axis]?.includes(n))) {
    const names = [`1|B=${B}`, `1|H=${H}`, `1|L=${L}`, totalKeys === S ? `1|S=${S}` : `1|S=${S}|${totalKeys}`];
    throw wrongValue(where, name, `shape ${shapeText(names)} or the last of these`, shapeText(tensor.shape));
  }
}

/** The fields of the tensor's bias entry. */
export function maskEntry(mask: Operand, { S }: Shape, { keyOffset }: Place, context: MemoryContext, scope: Scope): [number, number][] {
  const tensor = placeOperand('mask', mask, context, scope);
  const bytes = DTYPES[tensor.dtype].mask === 'hides';
  const width = tensor.shape.at(-1) as number;
  const spread = width === 1 && S !== 1;
  const inPlace = (bytes || tensor.dtype === 'f32') && !spread && (width === 1 || tensor.strides.at(-1) === 1);
  const source = inPlace ? tensor : compact(tensor, spread ? S : width, context, scope);
  scope.defer(source.pin());
  const size = DTYPES[source.dtype].bytes;
  const missing = 4 - source.shape.length;
  const stride = (axis: number): number => {
    const own = axis - missing;
    return own < 0 || source.shape[own] === 1 ? 0 : (source.strides[own] as number) * size;
  };
  // A mask over the keys of the whole is read where the shard's keys stand.
  const first = width === S || width === 1 ? 0 : keyOffset * size;
  return [
    [field.A_PTR, source.pointer + first],
    [field.A_BATCH, stride(0)],
    [field.A_HEAD, stride(1)],
    [field.A_ROW, stride(2)],
    [field.A_HIDE, bytes ? field.HIDE_ZEROS : field.HIDE_INFINITE],
  ];
}

/** A copy as contiguous bytes or f32, for this call alone; one column becomes `width` of them. */
function compact(tensor: Tensor, width: number, context: MemoryContext, scope: Scope): Tensor {
  // What lies as numbers one after another is read there: an estimate's own memory is none that the kernels know.
  const values = tensor.contiguous && !DTYPES[tensor.dtype].bits ? tensor.view() : tensor.toArray();
  const own = tensor.shape.at(-1) as number;
  const shape = [...tensor.shape.slice(0, -1), width];
  const count = own ? (values.length / own) * width : 0;
  const spread = own === width ? values : Float32Array.from({ length: count }, (_, n) => values[Math.floor(n / width)] as number);
  const dtype = DTYPES[tensor.dtype].mask === 'hides' ? tensor.dtype : 'f32';
  return scope.own(makeTensor(context, 'mask', shape, arrayOf(dtype, spread), dtype));
}
