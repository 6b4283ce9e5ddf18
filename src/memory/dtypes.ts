// The element types, all that is said of them in one place: a new one is an entry here, its code and conversions in the kernels, and tests.

import type { SafetensorsDtype } from '../safetensors/index.ts';
import { BF16, F16, F32, I8, I32, Q8, Q16 } from '../wasm/generated/job.ts';

/** Element types that may be operands and outputs. f16 and bf16 are storage: arithmetic is f32. */
export type FloatDType = 'f32' | 'f16' | 'bf16';

/** Element types. f16 and bf16 are storage: arithmetic is f32. */
export type DType = FloatDType | 'i8' | 'i32';

/** Element types of a cache. `'i8'` and `'i16'`: every row of a head has a scale of its own. */
export type CacheDType = FloatDType | 'i8' | 'i16';

/** Element types of ONNX that the operators take. */
export type OnnxType = 'float32' | 'float16' | 'bfloat16' | 'bool' | 'int8' | 'uint8' | 'int32' | 'int64';

/** A live view of elements as they are stored. */
export type ElementView = Float32Array | Uint16Array | Int8Array | Int32Array;

interface ViewType {
  new (buffer: ArrayBufferLike, at: number, length: number): ElementView;
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
}

/** How a cache stores numbers. */
export interface CacheElement {
  /** What the kernels call it. */
  readonly code: number;
  readonly bytes: number;
  /** Neighbours that lie together: 1, or 2 for integers, whose rows have a scale each. */
  readonly depth: number;
}

/** What is to be known of an element type. */
export interface ElementType {
  /** What the kernels call it. */
  readonly code: number;
  readonly bytes: number;
  /** The typed array that a view is. */
  readonly view: ViewType;
  /** True if the view shows raw bits, not numbers: numbers go in and out by the kernels' conversions. */
  readonly bits: boolean;
  /** Floating point: it is filled from any floats, may be q, k, v and their output, and travels as a state. */
  readonly float: boolean;
  /** Least and greatest whole number, of types that hold no others. */
  readonly range?: readonly [least: number, most: number];
  /** Every value is an f32. */
  readonly exact: boolean;
  /** What a mask of it does with its key: `'hides'` where it is 0, or `'adds'` to the score; undefined: it is no mask. */
  readonly mask?: 'hides' | 'adds';
  /** Number of the type in the wire format of states; undefined: it does not travel. */
  readonly wire?: number;
  /** Its name in a safetensors file. */
  readonly safetensors: SafetensorsDtype;
  /** Its names in ONNX, its own first, and the typed arrays that mean each when no type is given. */
  readonly onnx: readonly (readonly [name: OnnxType, ...arrays: string[]])[];
}

export const DTYPES: Readonly<Record<DType, ElementType>> = {
  f32: {
    code: F32,
    bytes: 4,
    view: Float32Array,
    bits: false,
    float: true,
    exact: true,
    mask: 'adds',
    wire: 0,
    safetensors: 'F32',
    onnx: [['float32', 'Float32Array']],
  },
  f16: {
    code: F16,
    bytes: 2,
    view: Uint16Array,
    bits: true,
    float: true,
    exact: true,
    mask: 'adds',
    wire: 1,
    safetensors: 'F16',
    onnx: [['float16', 'Float16Array', 'Uint16Array']],
  },
  bf16: {
    code: BF16,
    bytes: 2,
    view: Uint16Array,
    bits: true,
    float: true,
    exact: true,
    mask: 'adds',
    wire: 2,
    safetensors: 'BF16',
    onnx: [['bfloat16']],
  },
  i8: {
    code: I8,
    bytes: 1,
    view: Int8Array,
    bits: false,
    float: false,
    range: [-128, 127],
    exact: true,
    mask: 'hides',
    safetensors: 'I8',
    onnx: [['bool', 'Uint8Array', 'Int8Array'], ['int8'], ['uint8']],
  },
  i32: {
    code: I32,
    bytes: 4,
    view: Int32Array,
    bits: false,
    float: false,
    range: [-0x80000000, 0x7fffffff],
    exact: false,
    safetensors: 'I32',
    onnx: [
      ['int32', 'Int32Array'],
      ['int64', 'BigInt64Array'],
    ],
  },
};

const NAMES = /* @__PURE__ */ Object.keys(DTYPES) as readonly DType[];

/** Names of the element types of which something holds. */
const namesOf = /* @__NO_SIDE_EFFECTS__ */ (holds: (type: ElementType) => boolean): readonly DType[] =>
  NAMES.filter((name) => holds(DTYPES[name]));

/** In words: `f32, f16 or bf16`. */
const words = /* @__NO_SIDE_EFFECTS__ */ (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;

/** Those of q, k, v, their outputs and their states. */
export const FLOAT_DTYPES: readonly FloatDType[] = /* @__PURE__ */ namesOf(({ float }) => float) as readonly FloatDType[];
/** Those of a cache, which has integers of its own. */
const CACHES: Readonly<Record<CacheDType, CacheElement>> = {
  f32: { code: F32, bytes: 4, depth: 1 },
  f16: { code: F16, bytes: 2, depth: 1 },
  bf16: { code: BF16, bytes: 2, depth: 1 },
  i8: { code: Q8, bytes: 1, depth: 2 },
  i16: { code: Q16, bytes: 2, depth: 2 },
};

export const CACHE_DTYPES = /* @__PURE__ */ Object.keys(CACHES) as readonly CacheDType[];

/** How an error names the tensors that may be operands. */
export const aFloatTensor = (): string => `a tensor of ${words(FLOAT_DTYPES)}`;

/** How an error names the tensors that may be masks. */
export function aMaskTensor(): string {
  const [hides, adds] = ['hides', 'adds'].map((kind) => namesOf(({ mask }) => mask === kind).join(', '));
  return `a tensor of ${hides} (nonzero is visible) or of ${adds} (added)`;
}

export const isDType = (name: unknown): name is DType => typeof name === 'string' && Object.hasOwn(DTYPES, name);

export const isFloat = (dtype: DType): dtype is FloatDType => DTYPES[dtype].float;

/** How a cache of this type stores numbers. */
export const cacheElement = (dtype: CacheDType): CacheElement => CACHES[dtype];

/** The element type with this number in the wire format. */
export const dtypeOfWire = (wire: number): FloatDType | undefined => FLOAT_DTYPES.find((name) => DTYPES[name].wire === wire);

/** The element type of this name in a safetensors file that the engine stores bit for bit, if there is one. */
export const dtypeOfFile = (name: string): DType | undefined => NAMES.find((each) => DTYPES[each].safetensors === name);

/** Numbers of a type in an array of its own. */
export function arrayOf(dtype: DType, values: ArrayLike<number>): ElementView {
  const { view, bytes } = DTYPES[dtype];
  const array = new view(new ArrayBuffer(bytes * values.length), 0, values.length);
  array.set(values);
  return array;
}

/** A typed array over elements that lie at `at`, as they are stored. */
export function viewOf(dtype: DType, buffer: ArrayBufferLike, at: number, length: number): ElementView {
  return new DTYPES[dtype].view(buffer, at, length);
}

/** Typed arrays of floats, which any float type is filled from. */
const FLOATS = ['Float32Array', 'Float64Array', 'Float16Array'];

/** True if a tensor of the type can be filled from a typed array of this kind. */
export const fillsFrom = (dtype: DType, kind: string): boolean =>
  kind === DTYPES[dtype].view.name || (DTYPES[dtype].float && FLOATS.includes(kind));

/** How an error names what a tensor of the type is filled from. */
export function fillNames(dtype: DType): string {
  const { float, view } = DTYPES[dtype];
  return [...new Set([...(float ? ['Float32Array'] : []), view.name])].join(' or ');
}

/** The element type that stands for one of ONNX. */
export const dtypeOfOnnx = (type: OnnxType): DType => NAMES.find((name) => DTYPES[name].onnx.some(([each]) => each === type)) as DType;

/** The type of ONNX that an element type is. */
export const onnxOf = (dtype: DType): OnnxType => (DTYPES[dtype].onnx[0] as readonly [OnnxType])[0];

/** All types of ONNX that have an element type. */
const ONNX: readonly (readonly [OnnxType, ...string[]])[] = /* @__PURE__ */ NAMES.flatMap((name) => DTYPES[name].onnx);

export const isOnnxType = (type: unknown): type is OnnxType => ONNX.some(([name]) => name === type);

/** The type of ONNX that a typed array of this kind is when nothing else says so. */
export const onnxOfArray = (kind: string): OnnxType | undefined => ONNX.find(([, ...arrays]) => arrays.includes(kind))?.[0];
