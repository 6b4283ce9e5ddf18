// How much memory a model of texts will take, from its headers alone.

import type { Blueprint, Stack } from './blueprint.ts';
import { declareModel } from './declared.ts';
import { RunnerDriver } from './driver.ts';
import type { Leftovers } from './leftovers.ts';
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

/** Where runs end, in tokens before the last, and how many tokens they have: tables begin and end at round numbers, where some are longer. */
const ENDINGS = [
  [0, CHUNK],
  [1, CHUNK],
  [0, 16],
  [0, 2],
  [0, 1],
  [1, 1],
] as const;

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

export async function estimateModel(blueprint: Blueprint, setting: TextSetting): Promise<ModelEstimate> {
  const { width, encoder, decoder } = blueprint;
  const { longest } = setting;
  const cache = decoder ? await cacheOf(decoder, longest) : 0;
  // What is declared is added up; nothing is reserved, so no memory is needed.
  const weights = declareModel(blueprint, setting.type).packing.bytes;
  const rows = (encoder ? rowsOf(encoder, width, longest) : 0) + (decoder ? rowsOf(decoder, width, CHUNK) : 0);
  const least = weights + cache + rows;
  const total = least > MOST ? least : await rehearsed(blueprint, setting);
  return { weights, cache, rows: total - weights - cache, total };
}

async function cacheOf(stack: Stack, capacity: number): Promise<number> {
  const { cacheBytes } = await import('./decoding.ts');
  return cacheBytes('estimate', stack, { capacity, dtype: 'f32' });
}

/** The rows of a run. */
function rowsOf(stack: Stack, width: number, rows: number): number {
  const { stream, projected, attended, inner, kept } = widthsOf(stack, width);
  return 4 * (rows + blockKeys(stack, rows)) * (3 * stream + projected + attended + inner + kept);
}

/** Heads' numbers for one distance in the tables of a model's layers: of one head, or of its rows. */
function widestTable({ encoder, decoder }: Blueprint): number {
  const attentions = [encoder, decoder].flatMap((stack) => stack?.layers.map(({ attention }) => attention) ?? []);
  const rows = attentions.some(({ positions }) => positions.some(({ tables }) => Object.values(tables).some((table) => 'kind' in table)));
  return Math.max(0, ...attentions.map(({ heads, headWidth }) => (rows ? heads * headWidth : heads)));
}

/** Bytes that a model takes which is loaded and run. */
async function rehearsed(blueprint: Blueprint, setting: TextSetting): Promise<number> {
  const { decoder, width, vocabulary, classifier } = blueprint;
  const { longest } = setting;
  const numbers = [BATCH * Math.max(width, classifier?.labels.length ?? 0), vocabulary, 3 * longest];
  // Tables grow, and are rounded out: table-cache.ts.
  const small = 4 * Math.max(...numbers, widestTable(blueprint) * (5 * (longest + (decoder?.memory ?? 0)) + 256));
  const rehearsal = rehearsalOn(setting, small);
  return mostOf(rehearsal, () => perform(rehearsal, blueprint, setting));
}

async function perform({ layers, source }: Rehearsal, blueprint: Blueprint, { longest, reach, reader, type }: TextSetting): Promise<void> {
  const runner = await Runner.load(layers, blueprint, source, {
    where: 'estimate',
    weights: type,
    ...(reach !== undefined && { longest: reach }),
    ...(reader && { reader }),
  });
  await (blueprint.decoder ? write(layers, runner, longest) : read(new RunnerDriver(runner, layers, longest), runner));
}

/**
 * The longest text, and as many as run together, through all that an encoder has behind its layers. Each begins without what the others left, as runs
 * do that find no room: what comes between these two is run in parts if need be (leftovers.ts).
 */
async function read(driver: RunnerDriver, runner: Runner): Promise<void> {
  const { longest, blueprint } = driver;
  for (const texts of [[new Uint8Array(longest)], Array.from({ length: BATCH }, () => new Uint8Array(1))]) {
    const given = texts.map((ids) => ({ ids }));
    const uses = [
      () => driver.vectors(given, { pooling: 'mean', normalize: true }),
      ...(blueprint.classifier ? [() => driver.labels(given)] : []),
      ...(blueprint.logits && longest ? [() => driver.logits({ ids: texts[0] as Uint8Array }, [0])] : []),
    ];
    for (const use of uses) {
      runner.drop();
      await use();
    }
  }
}

/** The last tokens that a text may have, as many as run together, and fewer; and what is asked of the scores. Each begins without what others left. */
async function write(layers: Rehearsal['layers'], runner: Runner, longest: number): Promise<void> {
  const { Sequences } = await import('./decoding.ts');
  const { vocabulary, encoder } = runner.blueprint;
  const leftovers = runner.leftovers as Leftovers;
  const sequences = new Sequences(layers, leftovers, vocabulary, () => {});
  const session = await runner.session({ capacity: longest, ...(encoder && { source: { ids: new Uint8Array(longest) } }) });
  const sequence = sequences.begin(session);
  for (const [end, most] of ENDINGS) {
    const tokens = Math.min(most, longest - end);
    if (tokens < 1) continue;
    session.spare();
    leftovers.drop();
    session.skipTo(longest - end - tokens);
    const [scores] = await sequences.extend([sequence], [new Uint8Array(tokens)], undefined);
    scores?.largest(vocabulary);
    scores?.softmax(1);
  }
}
