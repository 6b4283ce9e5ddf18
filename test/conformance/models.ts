/**
 * The models whose vectors, texts and labels every runtime must give: an encoder, ones with a table of biases and a convolution, a decoder, encoders
 * with a decoder, of which one has keys of blocks, and a model of images; every type of weights.
 */
import type * as Models from '../../src/models/index.ts';
import type { Engine } from './call.ts';
import { hashBits } from './numbers.ts';

/** What loads them, from relpos/models. */
export type Loaders = Pick<typeof Models, 'loadEncoder' | 'loadDecoder' | 'loadSeq2Seq' | 'loadImageClassifier'>;

/** What is hashed of a model. */
type Outputs = Promise<readonly (Float32Array | Float64Array)[]>;

/** A case of models: the checkpoint of `folder`, which is a folder of this project's `models`, with weights of one type. */
interface ModelCase {
  readonly folder: string;
  readonly weights: NonNullable<Models.LoadOptions['weights']>;
  readonly run: (loaders: Loaders, source: Models.CheckpointSource, options: Models.LoadOptions) => Outputs;
}

/** Texts of all lengths: nothing, characters that no vocabulary has, more than fits; together enough rows for all threads. */
const TEXTS = [
  'How old are you?',
  '',
  'My dear Mr. Bennet, have you heard that Netherfield Park is let at last? He replied that he had not.',
  'naïve 漢字 🙂',
  'A single man in want of a wife must have heard that, my dear. '.repeat(6),
  'What is your age, my dear?',
];

const codesOf = (text: string): Float64Array => Float64Array.from({ length: text.length }, (_, n) => text.charCodeAt(n));

async function written(pieces: AsyncIterable<string>): Promise<Float64Array> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return codesOf(text);
}

const embeds: ModelCase['run'] = async ({ loadEncoder }, source, options) => {
  using encoder = await loadEncoder(source, options);
  const [first] = await encoder.embed(TEXTS.slice(0, 1), { pooling: 'cls', normalize: false });
  return [first as Float32Array, ...(await encoder.embed(TEXTS))];
};

/** Draws among some hundred tokens of chances that differ little, by everything that changes chances. */
const DRAWN = { maxTokens: 6, temperature: 1.3, topK: 200, topP: 0.95, minP: 0.002, repetitionPenalty: 1.1, seed: 7 } as const;
/** Draws with chances so even that a small change of one changes what is drawn. */
const EVEN = { maxTokens: 40, temperature: 5, seed: 7 } as const;

/** The last row of more than are computed at once; the likeliest text; two drawn side by side. */
const generates: ModelCase['run'] = async ({ loadDecoder }, source, options) => {
  using decoder = await loadDecoder(source, { ...options, context: 256 });
  const long = decoder.tokenizer.encode('And it came to pass in those days, that there went out a decree. '.repeat(9)).ids.slice(0, 150);
  const row = (await decoder.hidden(long)).at(-1) as Float32Array;
  const greedy = await written(decoder.generate('In the beginning', { maxTokens: 12, temperature: 0 }));
  const drawn = ['', ''];
  for await (const { index, text } of decoder.generateAll(['In the beginning', 'And'], DRAWN)) drawn[index] += text;
  return [row, greedy, ...drawn.map(codesOf)];
};

const answers: ModelCase['run'] = async ({ loadSeq2Seq }, source, options) => {
  using model = await loadSeq2Seq(source, options);
  const text = 'nd h sd, Wh rt th?';
  const greedy = await written(model.generate(text, { maxTokens: 12, temperature: 0 }));
  return [greedy, await written(model.generate(text, EVEN))];
};

/** An image that is made smaller and wider, and a grey one that is made larger. */
const labels: ModelCase['run'] = async ({ loadImageClassifier }, source, options) => {
  using classifier = await loadImageClassifier(source, options);
  const image = (width: number, height: number, channels: number) => {
    return { data: Uint8Array.from({ length: width * height * channels }, (_, n) => (n * 2654435761) >>> 24), width, height };
  };
  const both = await classifier.classify([image(21, 77, 4), image(9, 11, 1)]);
  return both.map((each) => Float64Array.from(each.flatMap(({ label, score }) => [classifier.labels.indexOf(label), score])));
};

const of = (folder: string, types: readonly ModelCase['weights'][], run: ModelCase['run']): [string, ModelCase][] =>
  types.map((weights) => [`${folder} of ${weights}`, { folder, weights, run }]);

export const modelCases: Readonly<Record<string, ModelCase>> = Object.fromEntries([
  ...of('bert', ['f32', 'f16', 'bf16', 'i8', 'i4'], embeds),
  ...of('deberta-v3', ['f32', 'i8'], embeds),
  ...of('deberta-v2-conv', ['f32', 'i8'], embeds),
  ...of('story-llama', ['f32', 'i8', 'i4'], generates),
  ...of('llama', ['f16', 'bf16'], generates),
  ...of('fix-t5', ['f32', 'i8', 'i4'], answers),
  ...of('longt5-global', ['f32', 'i8'], answers),
  ...of('swin', ['f32', 'i8'], labels),
]);

/** Where a host has the checkpoint of a folder. */
export type SourceOf = (folder: string) => Models.CheckpointSource;

/** The hash of a case's output bits. */
export async function hashModel(
  { folder, weights, run }: ModelCase,
  loaders: Loaders,
  engine: Engine,
  sourceOf: SourceOf,
): Promise<string> {
  return hashBits(...(await run(loaders, sourceOf(folder), { engine, weights })));
}
