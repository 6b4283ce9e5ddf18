// What `relpos attend` is to do: the command line and the file, checked before an engine exists.

import { shapeText } from '../arguments/check.ts';
import { readSafetensors, type SafeTensor, SafetensorsError, type SafetensorsFile } from '../safetensors/index.ts';
import type { Precision } from '../wasm/variants.ts';
import { type ParsedArgs, parseBytes, parsePrecision, parseThreads } from './args.ts';
import { applyFlags, type Case, complete, parseCase } from './case.ts';
import { InputError, shownPath } from './io.ts';
import { FLOAT_TYPES, named } from './tensors.ts';
import { quote } from './text.ts';

/** What the command line and the file ask for, checked. */
export interface Task {
  readonly path: string;
  readonly file: SafetensorsFile;
  readonly inputs: Readonly<Record<'q' | 'k' | 'v', SafeTensor>>;
  readonly expected: Expected | undefined;
  readonly job: Case;
  readonly sizes: { readonly batch: number; readonly heads: number; readonly rows: number; readonly keys: number; readonly width: number };
  /** Floating-point operations of one run: 2·B·H·L·S·(D + E). */
  readonly operations: number;
  /** Timed runs after the first; undefined: as many as a tenth of a second holds, and 0: none. */
  readonly repeat: number | undefined;
  readonly threads: number | 'auto';
  readonly precision: Precision;
  readonly maxMemory: number | undefined;
}

/** What the output is compared with. */
export interface Expected {
  readonly name: string;
  readonly tensor: SafeTensor;
  /** Of the largest value; undefined: of the type and the file. */
  readonly tolerance: number | undefined;
}

/** Checks everything that can be checked before the engine exists. */
export function prepare(path: string, bytes: Uint8Array, args: ParsedArgs): Task {
  const file = parseFile(path, bytes);
  const base = args.flags.has('from-metadata') ? parseCase(file.metadata.case) : { encodings: [], attention: {} };
  const asked = applyFlags(base, args);
  const [q, k, v] = (['q', 'k', 'v'] as const).map((role) => {
    const name = args.texts.get(role) ?? role;
    const tensor = named(file.tensors, name, `--${role}`, FLOAT_TYPES);
    if (tensor.shape.length !== 4)
      throw new InputError(`--${role}: tensor ${quote(name)} expected 4 dimensions, got ${shapeText(tensor.shape)}`);
    return tensor;
  }) as [SafeTensor, SafeTensor, SafeTensor];
  const [head, row] = asked.attention.layout === 'blhd' ? [2, 1] : [1, 2];
  const size = (tensor: SafeTensor, axis: number): number => tensor.shape[axis] as number;
  const sizes = { batch: size(q, 0), heads: size(q, head), rows: size(q, row), keys: size(k, row), width: size(q, 3) };
  return {
    path,
    file,
    inputs: { q, k, v },
    expected: expectedTensor(file, args),
    job: { encodings: asked.encodings.map((request) => complete(request, sizes)), attention: asked.attention },
    sizes,
    operations: 2 * sizes.batch * sizes.heads * sizes.rows * sizes.keys * (sizes.width + size(v, 3)),
    repeat: args.numbers.get('repeat'),
    threads: parseThreads(args.texts.get('threads')),
    precision: parsePrecision(args.texts.get('precision')),
    maxMemory: args.texts.has('max-memory') ? parseBytes('--max-memory', args.texts.get('max-memory') as string) : undefined,
  };
}

function parseFile(path: string, bytes: Uint8Array): SafetensorsFile {
  try {
    return readSafetensors(bytes);
  } catch (cause) {
    if (cause instanceof SafetensorsError) throw new InputError(`${shownPath(path)}: ${cause.message}`, { cause });
    throw cause;
  }
}

function expectedTensor(file: SafetensorsFile, args: ParsedArgs): Expected | undefined {
  const tolerance = args.numbers.get('tolerance');
  if (tolerance !== undefined && tolerance < 0) throw new InputError(`--tolerance expected a number from 0, got "${tolerance}"`);
  const name = args.texts.get('expected');
  if (name === undefined && !file.tensors.has('expected')) {
    if (tolerance !== undefined) throw new InputError('--tolerance needs --expected <tensor name>, as the file has no tensor "expected"');
    return undefined;
  }
  const found = name ?? 'expected';
  return { name: found, tensor: named(file.tensors, found, '--expected', [...FLOAT_TYPES, 'F64']), tolerance };
}
