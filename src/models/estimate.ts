// How much memory a model of texts will take, from its headers alone.

import { roundUp } from '../memory/round.ts';
import type { Blueprint, Stack } from './blueprint.ts';
import { PAGE } from './counted-arena.ts';
import { declareModel } from './declared.ts';
import { RunnerDriver } from './driver.ts';
import { blockKeys, widthsOf } from './packed-stack.ts';
import { MOST, mostOf, type Rehearsal, rehearsalOn, type Setting } from './rehearsal.ts';
import { Runner } from './runner.ts';
import type { TextReader } from './text-reader.ts';
import { BATCH, CHUNK } from './tokens.ts';

/** Bytes of the engine's memory. */
export interface ModelEstimate {
  /** Packed weights, which stay. */
  readonly weights: number;
  /** Keys and values of one text of `context` tokens; 0 for encoders. */
  readonly cache: number;
  /** What a run takes beside them: the rows that it passes from layer to layer, scratch of all threads, tables of positions; or loading, if that takes more. */
  readonly rows: number;
  /** The sum: `maxMemory` has to be no less. */
  readonly total: number;
}

/** What a model of texts is estimated for. */
export interface TextSetting extends Setting {
  /** Tokens of a text at most. */
  readonly longest: number;
  /** The same where tables of positions are drawn for it. */
  readonly reach?: number | undefined;
  /** What reads texts, of an encoder. */
  readonly reader?: typeof TextReader | undefined;
}

/** An opened model, as load.ts has it. */
interface Opened extends Pick<TextSetting, 'type' | 'longest' | 'reach'> {
  readonly weights: Setting['weights'];
  readonly packed: unknown;
  readonly sentences: { readonly maxLength?: number } | undefined;
}

/** What an opened model is estimated for. */
export function settingOf(
  { packed, weights, type, longest, reach, sentences }: Opened,
  { threads, precision }: Pick<Setting, 'threads' | 'precision'>,
  reader?: typeof TextReader,
): TextSetting {
  const most = Math.min(longest, sentences?.maxLength ?? Infinity);
  return { type, threads, precision, ...(!packed && { weights }), longest: most, reach, reader };
}

/** Tokens of a text that are run; those before them are there at once. */
const RUN = 4 * CHUNK;
/** Tables of positions that runs of a prompt leave, each its own: as many as the engine keeps (table-cache.ts), each rounded out to so many rows. */
const TABLES = 64;
const TABLE_ROWS = CHUNK + 64;
/** Part of a memory that are holes where tables of rows were: which ones stay hangs on the lengths of the texts and their order. Measured. */
const HOLES = 12;

export async function estimateModel(blueprint: Blueprint, setting: TextSetting): Promise<ModelEstimate> {
  const { width, encoder, decoder } = blueprint;
  const { longest } = setting;
  const cache = decoder ? await cacheOf(decoder, longest) : 0;
  // What is declared is added up; nothing is reserved, so no memory is needed.
  const weights = declareModel(blueprint, setting.type).packing.bytes;
  const rows = (encoder ? rowsOf(encoder, width, longest) : 0) + (decoder ? rowsOf(decoder, width, CHUNK) : 0);
  const least = weights + cache + rows;
  const skipped = decoder ? Math.max(0, longest - RUN) : 0;
  const total = least > MOST ? least : (await rehearsed(blueprint, setting, skipped)) + (decoder ? tablesOf(decoder, skipped) : 0);
  return { weights, cache, rows: total - weights - cache, total };
}

/** Rows of zeros before a text have a place too. */
async function cacheOf({ layers, memory = 0 }: Stack, context: number): Promise<number> {
  const { cacheBytes } = await import('./decoding.ts');
  const options = { capacity: context + memory, dtype: 'f32' } as const;
  return layers.reduce((sum, { attention }) => sum + cacheBytes('estimate', attention, options), 0);
}

/** The rows of a run. */
function rowsOf(stack: Stack, width: number, rows: number): number {
  const { stream, projected, attended, inner, kept } = widthsOf(stack, width);
  return 4 * (rows + blockKeys(stack, rows)) * (3 * stream + projected + attended + inner + kept);
}

/** Bytes of the tables that runs of so many tokens leave, in whole pages. */
function tablesOf({ layers }: Stack, tokens: number): number {
  const widest = Math.max(0, ...layers.map(({ attention }) => attention.headWidth));
  return roundUp(4 * widest * TABLE_ROWS * Math.min(TABLES, Math.ceil(tokens / CHUNK)), PAGE);
}

/** Heads' numbers for one distance in the tables of a model's layers, and whether these are rows of a scheme. */
function widestTable({ encoder, decoder }: Blueprint): { readonly width: number; readonly rows: boolean } {
  const attentions = [encoder, decoder].flatMap((stack) => stack?.layers.map(({ attention }) => attention) ?? []);
  const rows = attentions.some(({ positions }) => positions.some(({ tables }) => Object.values(tables).some((table) => 'kind' in table)));
  return { width: Math.max(0, ...attentions.map(({ heads, headWidth }) => (rows ? heads * headWidth : heads))), rows };
}

/** Bytes that a model takes which is loaded and run. @param skipped tokens of a text whose rows are not computed */
async function rehearsed(given: Blueprint, setting: TextSetting, skipped: number): Promise<number> {
  const { decoder, width, vocabulary, classifier } = given;
  const { longest } = setting;
  const table = widestTable(given);
  // Rows of zeros stand for the beginning of a long text.
  const blueprint = skipped ? { ...given, decoder: { ...(decoder as Stack), memory: (decoder?.memory ?? 0) + skipped } } : given;
  const numbers = [BATCH * Math.max(width, classifier?.labels.length ?? 0), vocabulary, 3 * longest];
  // Tables grow, and are rounded out: table-cache.ts.
  const small = 4 * Math.max(...numbers, table.width * (5 * (longest + (decoder?.memory ?? 0)) + 256));
  const rehearsal = rehearsalOn(setting, small);
  const total = await mostOf(rehearsal, () => perform(rehearsal, blueprint, setting, skipped));
  return table.rows && !decoder ? total + roundUp(total / HOLES, PAGE) : total;
}

async function perform(
  { layers, source }: Rehearsal,
  blueprint: Blueprint,
  { longest, reach, reader, type }: TextSetting,
  skipped: number,
): Promise<void> {
  const runner = await Runner.load(layers, blueprint, source, {
    where: 'estimate',
    weights: type,
    ...(reach !== undefined && { longest: reach - skipped }),
    ...(reader && { reader }),
  });
  const driver = new RunnerDriver(runner, layers, longest - skipped);
  await (blueprint.decoder ? write(driver, longest) : read(driver));
}

/** Texts of an encoder, one by one and together, through all that it has behind its layers: the longer they are the later, as memory has to grow most then. */
async function read(driver: RunnerDriver): Promise<void> {
  const { longest, blueprint } = driver;
  const some = Math.max(1, Math.min(longest, BATCH) >> 4);
  const single = [longest >> 2, longest >> 1, longest].map((tokens) => ({ count: 1, tokens }));
  const together = [some, 1].map((tokens) => ({ count: Math.floor(BATCH / tokens), tokens }));
  const lists = [...single, ...together].sort((a, b) => a.count * a.tokens - b.count * b.tokens);
  for (const { count, tokens } of lists) {
    const texts = Array.from({ length: count }, () => ({ ids: new Uint8Array(tokens) }));
    await driver.vectors(texts, { pooling: 'mean', normalize: true });
    if (blueprint.classifier) await driver.labels(texts);
    if (blueprint.logits && count === 1 && tokens) await driver.logits(texts[0] as (typeof texts)[0], [0]);
  }
}

/**
 * A text that begins with a token, has more than one to follow, and ends as long as it may be, by one more: what each leaves is in the way of the
 * next. And what is asked of the scores.
 *
 * @param answered tokens of the text before it
 */
async function write(driver: RunnerDriver, answered: number): Promise<void> {
  const { longest, blueprint } = driver;
  const source = { ids: new Uint8Array(answered) };
  const sequence = await driver.sequence(blueprint.encoder ? { source } : {});
  const few = Math.min(8, longest >> 1);
  for (const tokens of [few, 1, longest - few - 2, 1]) {
    if (tokens <= 0) continue;
    const [scores] = await driver.extend([sequence], [new Uint8Array(tokens)]);
    scores?.largest(blueprint.vocabulary);
    scores?.softmax(1);
  }
}
