// What sentence-transformers leaves beside a model: how token vectors become one vector.

import { quote } from '../cli/text.ts';
import { isObject, show } from '../safetensors/header.ts';
import type { Checkpoint, JsonObject } from './checkpoint.ts';
import { broken } from './fault.ts';

/** Ways to make one vector of the vectors of the tokens. */
export type Pooling = 'mean' | 'cls' | 'last' | 'max';

/** What the files say; what they do not say is left out. */
export interface SentenceSettings {
  readonly pooling?: Pooling;
  readonly normalize?: boolean;
  /** Tokens of a text at most, special ones included. */
  readonly maxLength?: number;
  readonly lowerCase?: boolean;
  /** Folders of linear layers that follow pooling, in their order. */
  readonly dense?: readonly string[];
  /** Texts to put before a text, by name, such as `query`. */
  readonly prompts?: { readonly [name: string]: string };
  readonly defaultPrompt?: string;
}

const MODULES = 'modules.json';
/** Keys of a pooling module that are on for one way each. */
const WAYS: { readonly [key: string]: Pooling } = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_max_tokens: 'max',
  pooling_mode_lasttoken: 'last',
};

/** Reads them; undefined if the folder has none. @throws RelposError `bad-checkpoint` for a module that is not known */
export async function readSentenceSettings(checkpoint: Checkpoint): Promise<SentenceSettings | undefined> {
  const modules = await checkpoint.json(MODULES);
  if (modules === undefined) return undefined;
  const { where } = checkpoint;
  if (!Array.isArray(modules) || !modules.every(isModule)) throw broken(where, MODULES, 'expected a list of modules with type and path');
  let settings: SentenceSettings = {};
  for (const { type, path } of modules) {
    const kind = type.slice(type.lastIndexOf('.') + 1);
    if (kind === 'Transformer') settings = { ...settings, ...(await lengthOf(checkpoint, path)) };
    else if (kind === 'Pooling') settings = { ...settings, pooling: await poolingOf(checkpoint, path) };
    else if (kind === 'Dense') settings = { ...settings, dense: [...(settings.dense ?? []), denseAfter(where, path, settings)] };
    else if (kind === 'Normalize') settings = { ...settings, normalize: true };
    else if (kind !== 'Dropout') throw broken(where, MODULES, `the module ${quote(type)} is not one that is known`);
  }
  return { normalize: false, ...settings, ...(await promptsOf(checkpoint)) };
}

/** The folder of a layer. @throws RelposError if vectors were to be of length 1 before it */
function denseAfter(where: string, path: string, { normalize }: SentenceSettings): string {
  if (normalize) throw broken(where, MODULES, `the layer ${quote(path)} stands behind a Normalize, which is only computed last`);
  return path;
}

const isModule = (value: unknown): value is { readonly type: string; readonly path: string } =>
  isObject(value) && typeof value.type === 'string' && typeof value.path === 'string';

/** A file of a module; the first module lies in the folder itself. */
const within = (path: string, name: string): string => (path === '' ? name : `${path}/${name}`);

async function lengthOf(checkpoint: Checkpoint, path: string): Promise<SentenceSettings> {
  const name = within(path, 'sentence_bert_config.json');
  const config = (await checkpoint.object(name)) ?? {};
  const { max_seq_length: most, do_lower_case: lower } = config;
  if (most !== undefined && most !== null && !(Number.isSafeInteger(most) && (most as number) > 0)) {
    throw broken(checkpoint.where, name, `"max_seq_length" expected a whole number from 1, got ${show(most)}`);
  }
  return { ...(typeof most === 'number' && { maxLength: most }), ...(lower === true && { lowerCase: true }) };
}

async function poolingOf(checkpoint: Checkpoint, path: string): Promise<Pooling> {
  const name = within(path, 'config.json');
  const config: JsonObject | undefined = await checkpoint.object(name);
  if (config === undefined) throw broken(checkpoint.where, name, `there is none, and ${MODULES} names it`);
  const { pooling_mode: mode } = config;
  if (typeof mode === 'string') {
    const way = { cls: 'cls', mean: 'mean', max: 'max', lasttoken: 'last' }[mode] as Pooling | undefined;
    if (way !== undefined) return way;
    throw broken(checkpoint.where, name, `the pooling ${quote(mode)} is not one that is known (cls, mean, max, lasttoken)`);
  }
  const on = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  const [only, ...more] = on;
  const way = only === undefined || !Object.hasOwn(WAYS, only) ? undefined : WAYS[only];
  if (way !== undefined && more.length === 0) return way;
  throw broken(checkpoint.where, name, `expected one of ${Object.keys(WAYS).join(', ')} to be true, got ${on.join(', ') || 'none'}`);
}

async function promptsOf(checkpoint: Checkpoint): Promise<SentenceSettings> {
  const config = (await checkpoint.object('config_sentence_transformers.json')) ?? {};
  const { prompts, default_prompt_name: name } = config;
  if (!isObject(prompts)) return {};
  const texts = Object.entries(prompts).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return { prompts: Object.fromEntries(texts), ...(typeof name === 'string' && { defaultPrompt: name }) };
}
