// What the panel's worker does: it loads models, and asks them. A model of each kind is held: the page's own, or one that was dropped.
import { transfer } from 'comlink';
import { type Decoder, type Encoder, type Finish, type GenerateOptions, loadDecoder, loadEncoder } from 'relpos/models';
import { describeConfig } from './config.ts';
import { inspectFolder } from './folder.ts';
import { fetchOf, type ModelSource } from './sources.ts';
import { readTensorList } from './tensors.ts';
import { Vectors } from './vectors.ts';

/** Tokens whose attention is drawn. */
const MOST_TOKENS = 256;
/** Pieces of a text are told together, as often as a screen shows them. */
const PIECES_MS = 30;

export interface EncoderInfo {
  readonly layers: number;
  /** Heads of each layer. */
  readonly heads: readonly number[];
  /** The schemes of positions in attention, by name. */
  readonly positions: readonly string[];
  readonly family: string;
  readonly maxLength: number;
  readonly width: number;
}

export interface DecoderInfo {
  readonly layers: number;
  readonly positions: readonly string[];
  readonly family: string;
  /** Tokens of a text at most. */
  readonly longest: number;
}

/** A model of either kind. */
export type Opened = { readonly kind: 'encoder'; readonly info: EncoderInfo } | { readonly kind: 'decoder'; readonly info: DecoderInfo };

export type Progress = (loaded: number, total: number) => void;

let encoder: { readonly model: Encoder; readonly vectors: Vectors } | undefined;
let decoder: Decoder | undefined;
/** What can be stopped, by its name. */
const controllers = new Map<string, AbortController>();

/** Begins something that can be stopped; the last of that name is. */
function begin(name: string): AbortSignal {
  controllers.get(name)?.abort();
  const controller = new AbortController();
  controllers.set(name, controller);
  return controller.signal;
}

function optionsOf(source: ModelSource, signal: AbortSignal, progress: Progress) {
  return {
    threads: 1,
    signal,
    onProgress: ({ loaded, total }: { readonly loaded: number; readonly total: number }) => progress(loaded, total),
    ...('builtIn' in source && { fetch: fetchOf(source.builtIn, source.address) }),
    ...('files' in source && source.weights !== 'stored' && { weights: source.weights }),
  };
}

const placeOf = (source: ModelSource) => ('builtIn' in source ? source.address : source.files);

const namesOf = (layers: readonly { readonly attention: { readonly positions: readonly { readonly name: string }[] } }[]): string[] => [
  ...new Set(layers.flatMap(({ attention }) => attention.positions.map(({ name }) => name))),
];

/** @throws Error that says that no such model is there */
function needed<T>(model: T | undefined, what: string): T {
  if (model === undefined) throw new Error(`No ${what} is loaded.`);
  return model;
}

/** Loads a model that reads texts, in place of the one before. */
async function openEncoder(source: ModelSource, progress: Progress): Promise<EncoderInfo> {
  const model = await loadEncoder(placeOf(source) as never, optionsOf(source, begin('encoder'), progress));
  encoder?.model.dispose();
  encoder = { model, vectors: new Vectors((texts, signal) => model.embed(texts, { signal })) };
  const { blueprint, maxLength } = model;
  const layers = blueprint.encoder?.layers ?? [];
  return {
    layers: layers.length,
    heads: layers.map(({ attention }) => attention.heads),
    positions: namesOf(layers),
    family: blueprint.modelType,
    maxLength,
    width: blueprint.width,
  };
}

/** Loads a model that continues texts, in place of the one before. */
async function openDecoder(source: ModelSource, progress: Progress): Promise<DecoderInfo> {
  const model = await loadDecoder(placeOf(source) as never, optionsOf(source, begin('decoder'), progress));
  decoder?.dispose();
  decoder = model;
  const { blueprint } = model;
  const layers = blueprint.decoder?.layers ?? [];
  return { layers: layers.length, positions: namesOf(layers), family: blueprint.modelType, longest: blueprint.longest ?? 2048 };
}

export const api = {
  openEncoder,
  openDecoder,

  /** Loads a model of either kind. */
  async openAny(source: ModelSource, progress: Progress): Promise<Opened> {
    try {
      return { kind: 'encoder', info: await openEncoder(source, progress) };
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      if (/use load(Seq2Seq|ImageClassifier)/.test(message))
        throw new Error('It is a model of another kind: the page runs those that read texts, and those that go on with them.');
      if (!message.includes('use loadDecoder')) throw error;
      return { kind: 'decoder', info: await openDecoder(source, progress) };
    }
  },

  /** The cosines of each text with each other, [n, n], and how long it took. */
  async similarity(texts: readonly string[]): Promise<{ readonly values: Float32Array; readonly ms: number; readonly fresh: number }> {
    const { model, vectors } = needed(encoder, 'encoder');
    const signal = begin('similarity');
    const began = performance.now();
    const { list, fresh } = await vectors.of(texts, signal);
    const rows = await model.similarity(list);
    const values = Float32Array.from(rows.flat());
    return transfer({ values, ms: performance.now() - began, fresh }, [values.buffer]);
  },

  /** Where the tokens of a text look in a layer: [heads, tokens, tokens]. */
  async attention(text: string, layer: number) {
    const { model } = needed(encoder, 'encoder');
    const { length } = model.tokenizer.encode(text).ids;
    if (length > MOST_TOKENS) throw new Error(`The sentence has ${length} tokens, and the picture has room for ${MOST_TOKENS}.`);
    const map = await model.attention(text, { layer, signal: begin('attention') });
    return transfer(map, [map.probabilities.buffer]);
  },

  /** Continues a text; `say` is told what comes, and how many tokens there are. */
  async generate(
    prompt: string,
    options: GenerateOptions,
    say: (text: string, tokens: number, ms: number) => void,
  ): Promise<Finish | 'stopped'> {
    const model = needed(decoder, 'decoder');
    const signal = begin('generate');
    const pieces = model.generate(prompt, { ...options, signal });
    let [told, text, tokens] = [performance.now(), '', 0];
    const began = told;
    try {
      for (;;) {
        const { done, value } = await pieces.next();
        const now = performance.now();
        if (!done) {
          text += value;
          tokens++;
        }
        if (done || now - told > PIECES_MS) {
          say(text, done ? value.tokens : tokens, now - began);
          [told, text] = [now, ''];
        }
        if (done) return value;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      say(text, tokens, performance.now() - began);
      return 'stopped';
    }
  },

  /** Stops what has this name. */
  stop(name: 'encoder' | 'decoder' | 'similarity' | 'attention' | 'generate'): void {
    controllers.get(name)?.abort(new Error('Stopped.'));
  },

  describeConfig,
  readTensorList,
  inspectFolder,
};

export type Api = typeof api;
