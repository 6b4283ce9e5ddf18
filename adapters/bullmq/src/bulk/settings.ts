// What a vector hangs on beside its text: the model's files, the type of the weights, and what is made of the tokens' rows.
import { isSha256, record, sha256, show } from '../content.ts';

/** The same settings give the same vectors, on any machine. */
export interface Settings {
  /** The checksum of the model, see `relpos-bulk digest`. */
  readonly model: string;
  readonly weights: string;
  readonly pooling?: string;
  readonly normalize?: boolean;
  readonly prompt?: string;
  readonly maxLength?: number;
}

const WEIGHTS = ['default', 'f32', 'f16', 'bf16', 'i8', 'i4'];
const POOLINGS = ['mean', 'cls', 'last', 'max'];

/** Reads settings, from a command line, a file or a job. */
export function readSettings(given: unknown, what: string): Settings {
  const { model, weights, pooling, normalize, prompt, maxLength } = record(given, what, [
    'model',
    'weights',
    'pooling',
    'normalize',
    'prompt',
    'maxLength',
  ]);
  const wrong = (name: string, expected: string, got: unknown): RangeError =>
    new RangeError(`${what}: "${name}" expected ${expected}, got ${show(got)}`);
  if (!isSha256(model)) throw wrong('model', '64 hexadecimal digits', model);
  if (!WEIGHTS.includes(weights as string)) throw wrong('weights', `one of ${WEIGHTS.join(', ')}`, weights);
  if (pooling !== undefined && !POOLINGS.includes(pooling as string)) throw wrong('pooling', `one of ${POOLINGS.join(', ')}`, pooling);
  if (normalize !== undefined && typeof normalize !== 'boolean') throw wrong('normalize', 'true or false', normalize);
  if (prompt !== undefined && (typeof prompt !== 'string' || prompt.length > 200))
    throw wrong('prompt', 'a name of 200 letters at most', prompt);
  if (maxLength !== undefined && !(Number.isInteger(maxLength) && (maxLength as number) > 0 && (maxLength as number) <= 2 ** 20)) {
    throw wrong('maxLength', 'an integer from 1 to 1048576', maxLength);
  }
  return JSON.parse(settingsText({ model, weights, pooling, normalize, prompt, maxLength } as Settings)) as Settings;
}

/** Settings as one text, the same for the same settings. */
export const settingsText = ({ model, weights, pooling, normalize, prompt, maxLength }: Settings): string =>
  JSON.stringify({ model, weights, pooling, normalize, prompt, maxLength });

/** The queue of a model: workers that hold it listen there, and those that hold another one never hear of its jobs. */
export const queueName = ({ model, weights }: Pick<Settings, 'model' | 'weights'>): string =>
  `relpos-embed-${sha256(`${model} ${weights}`).slice(0, 16)}`;

export const isQueue = (name: string): boolean => /^relpos-embed-[0-9a-f]{16}$/.test(name);

/** What settings make of a call. */
export const embedOptions = ({ pooling, normalize, prompt, maxLength }: Settings): Record<string, unknown> => ({
  ...(pooling !== undefined && { pooling }),
  ...(normalize !== undefined && { normalize }),
  ...(prompt !== undefined && { prompt }),
  ...(maxLength !== undefined && { maxLength }),
});
