// From texts to vectors, on this machine.
import type { EmbedOptions, Encoder } from 'relpos/models';
import type { Item } from './corpus.ts';
import { embedOptions, type Settings } from './settings.ts';
import { gather, type Vectors } from './vectors.ts';

type Result = Float32Array | { readonly reason: string };

/** A text that every model takes. */
const HARMLESS = 'a';

/** What is wrong with a text, in words. If a harmless one fails as well it is not the text, but the machine or the options: that is thrown. */
async function faultOf(error: unknown, encoder: Encoder, options: EmbedOptions): Promise<string> {
  await encoder.embed(HARMLESS, options);
  return error instanceof Error ? error.message : String(error);
}

/** How wide a model's vectors are: asked once. */
async function widthOf(encoder: Encoder): Promise<number> {
  const known = widths.get(encoder) ?? (await encoder.embed(HARMLESS)).length;
  widths.set(encoder, known);
  return known;
}

const widths = new WeakMap<Encoder, number>();

/**
 * Vectors of texts. If one of them cannot be embedded it is found by halves and set aside with the reason: a vector does not hang on those that are
 * computed beside it.
 */
export async function embedItems(encoder: Encoder, items: readonly Item[], settings: Settings, signal?: AbortSignal): Promise<Vectors> {
  const options = { ...embedOptions(settings), ...(signal && { signal }) } as EmbedOptions;
  const texts = items.filter((item): item is string => typeof item === 'string');
  const vectors = texts.length ? await embedAll(encoder, texts, options) : [];
  let next = 0;
  const results = items.map((item) => (typeof item === 'string' ? (vectors[next++] as Result) : item));
  const found = vectors.find((vector) => vector instanceof Float32Array);
  return gather(results, found?.length ?? (await widthOf(encoder)));
}

async function embedAll(encoder: Encoder, texts: readonly string[], options: EmbedOptions): Promise<Result[]> {
  try {
    return await encoder.embed(texts, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (texts.length === 1) return [{ reason: await faultOf(error, encoder, options) }];
  }
  const results: Result[] = [];
  const half = texts.length >> 1;
  for (const part of [texts.slice(0, half), texts.slice(half)]) results.push(...(await embedAll(encoder, part, options)));
  return results;
}
