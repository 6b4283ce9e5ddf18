/** Runs a golden file: the encoding and the options that its metadata names, on its tensors. */
import type { AttentionOptions, Encoding, Engine, Tensor } from '../../src/index.ts';

/** A tensor of the file, as its reader gives it. */
interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** What `readSafetensors` gives. */
export interface GoldenFile {
  readonly metadata: Record<string, string>;
  readonly tensors: ReadonlyMap<string, Stored>;
}

interface EncodingRequest {
  readonly name: string;
  readonly options: unknown;
  readonly arguments?: unknown;
}

/** The constructors of encodings, by name. */
// biome-ignore lint/suspicious/noExplicitAny: options come from files here; each constructor checks its own.
export type Make = (name: string) => ((options: any, rest?: any) => Encoding) | undefined;

const parse = (file: GoldenFile): { encoding: EncodingRequest | EncodingRequest[]; attention?: Record<string, unknown> } =>
  JSON.parse(file.metadata.case ?? '{}');

/** The names of the encodings that the file needs. */
export const encodingNames = (file: GoldenFile): string[] => [parse(file).encoding].flat().map(({ name }) => name);

/** A copy: a file's tensors lie at any alignment. */
const bytesOf = ({ data }: Stored): ArrayBuffer => new Uint8Array(data).buffer;

/** The numbers of a tensor of the file. */
export function numbersOf(file: GoldenFile, name: string): Float32Array | Int32Array {
  const stored = file.tensors.get(name);
  if (stored?.dtype === 'F32') return new Float32Array(bytesOf(stored));
  if (stored?.dtype === 'I32') return new Int32Array(bytesOf(stored));
  throw new Error(`the file has no F32 or I32 tensor "${name}"`);
}

/** The shape of a tensor of the file. */
export const shapeOf = (file: GoldenFile, name: string): readonly number[] => file.tensors.get(name)?.shape ?? [];

/** A tensor of the file: floats in the engine's memory, integers as an array. */
function fetch(engine: Engine, file: GoldenFile, name: string): Tensor | Int32Array {
  const numbers = numbersOf(file, name);
  return numbers instanceof Int32Array ? numbers : engine.tensor(shapeOf(file, name), numbers);
}

/** A copy of `value` with every `"@name"` replaced by the tensor of that name. */
function resolve(value: unknown, engine: Engine, file: GoldenFile): unknown {
  if (typeof value === 'string' && value.startsWith('@')) return fetch(engine, file, value.slice(1));
  if (Array.isArray(value)) return value.map((item) => resolve(item, engine, file));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, engine, file)]));
}

/** The file's encodings as values. */
export function encodingsOf(make: Make, engine: Engine, file: GoldenFile): Encoding[] {
  return [parse(file).encoding].flat().map((request) => {
    const construct = make(request.name);
    if (!construct) throw new Error(`there is no encoding "${request.name}"`);
    const rest = request.arguments === undefined ? [] : [resolve(request.arguments, engine, file)];
    return construct(resolve(request.options, engine, file), ...rest);
  });
}

/** The file's options of `attention`, without the encoding. */
export const attentionOptions = (engine: Engine, file: GoldenFile): AttentionOptions =>
  resolve(parse(file).attention ?? {}, engine, file) as AttentionOptions;

/** True if the file holds a rotation alone. */
export const isRotation = (file: GoldenFile): boolean => file.tensors.has('x');

/** The output for the file's inputs: attention [B, H, L, E], or a rotation [B, H, T, D]. */
export async function runGolden(make: Make, engine: Engine, file: GoldenFile): Promise<Float32Array> {
  const encoding = encodingsOf(make, engine, file);
  const tensor = (name: string): Tensor => fetch(engine, file, name) as Tensor;
  const positions = (): Int32Array => fetch(engine, file, 'positions') as Int32Array;
  const out = isRotation(file)
    ? await engine.rotate(tensor('x'), encoding[0] as Encoding, { positions: positions() })
    : await engine.attention(tensor('q'), tensor('k'), tensor('v'), { ...attentionOptions(engine, file), encoding });
  return out.toArray();
}
