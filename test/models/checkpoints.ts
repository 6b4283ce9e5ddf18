/**
 * The tiny checkpoints of test/models/checkpoints and what the original models compute from them (scripts/goldens/models/README.md says how
 * they were made and what the names mean).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { numbersOf, shapeOf } from '../conformance/golden.ts';

/** A tensor of a reference. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** One input and what came of it. */
export interface ReferenceCase {
  readonly text?: string;
  readonly pair?: string;
  readonly ids?: readonly number[];
  readonly types?: readonly number[];
  /** Where the masks stand that the model fills. */
  readonly masks?: readonly number[];
  /** The decoder's first token. */
  readonly start?: number;
  /** Greedy tokens. */
  readonly tokens?: readonly number[];
  readonly smallestLead?: number;
  readonly continuation?: string;
  /** By tensor, how far the original's f32 run is from its f64 run. */
  readonly errors: Readonly<Record<string, number>>;
  /** By name without the case's number: `embeddings`, `layers.0`, `hidden`, `logits` and so on, from the f64 run. */
  readonly tensors: Readonly<Record<string, ReferenceTensor>>;
}

/** A folder of test/models/checkpoints. */
export interface Checkpoint {
  readonly name: string;
  /** Its path, with a slash at the end. */
  readonly folder: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly source: string;
  readonly note: string;
  readonly cases: readonly ReferenceCase[];
}

const root = new URL('checkpoints/', import.meta.url);

/** The names of all checkpoints. */
export const checkpointNames: readonly string[] = readdirSync(root).sort();

const json = (url: URL) => JSON.parse(readFileSync(url, 'utf8'));

/** The checkpoint of this name. */
export function checkpoint(name: string): Checkpoint {
  const url = new URL(`${name}/`, root);
  const { source, note, cases } = json(new URL('reference.json', url));
  const file = readSafetensors(readFileSync(new URL('reference.safetensors', url)));
  const of = (number: number) =>
    Object.fromEntries(
      [...file.tensors.keys()]
        .filter((key) => key.startsWith(`${number}.`))
        .map((key) => [key.slice(`${number}.`.length), { shape: shapeOf(file, key), data: numbersOf(file, key) as Float32Array }]),
    );
  return {
    name,
    folder: fileURLToPath(url),
    config: json(new URL('config.json', url)),
    source,
    note,
    cases: (cases as Omit<ReferenceCase, 'tensors'>[]).map((each, number) => ({ ...each, tensors: of(number) })),
  };
}
