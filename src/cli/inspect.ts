import type { Blueprint, Layer, Stack } from '../models/blueprint.ts';
import type { AnyBlueprint, VisionBlueprint } from '../models/vision.ts';
import type { ParsedArgs } from './args.ts';
import type { Command } from './command.ts';
import { type CliIo, EXIT } from './io.ts';
import { onlyModel, warnOfLess } from './models.ts';
import { columns, rows, showBytes } from './report.ts';
import { oneLine } from './text.ts';

/** `relpos inspect`: what a checkpoint is. */
export const inspect: Command = {
  name: 'inspect',
  summary: 'what a model is, and the memory that it takes',
  usage: '<folder>|<url> [--context <n>] [--json]',
  about: `Reads config.json and the headers of the safetensors files of a Hugging Face folder, no weights, and prints what the model
computes, its size, and the memory that it takes in each type of weights. A model that relpos cannot run is refused with what is
missing.`,
  examples: `  relpos inspect models/minilm
  relpos inspect https://huggingface.co/HuggingFaceTB/SmolLM2-135M/resolve/main/ --context 4096
  relpos inspect models/minilm --json`,
  options: {
    context: { kind: 'count', help: 'tokens of a text, for which keys and values take memory' },
    json: { kind: 'flag', help: 'print one JSON object' },
  },
  run: runInspect,
};

async function runInspect(args: ParsedArgs, io: CliIo): Promise<number> {
  const model = onlyModel('inspect', args);
  const { inspectCheckpoint } = await import('../models/inspect.ts');
  const context = args.numbers.get('context');
  const found = await inspectCheckpoint(model, { signal: io.signal, ...(context !== undefined && { context }) });
  warnOfLess(io, '--context', context, found.context);
  if (args.flags.has('json')) {
    const { blueprint, ...facts } = found;
    io.stdout(`${JSON.stringify({ ...(blueprint.kind === 'images' ? imagesSummary(blueprint) : summaryOf(blueprint)), ...facts })}\n`);
    return EXIT.ok;
  }
  const { blueprint, tensors, stored, storedAs, packed, memory } = found;
  io.stdout(rows(factsOf(blueprint, `${tensors} tensors, ${showBytes(stored)}, ${packed ? 'packed in ' : ''}${storedAs}`)));
  const table = Object.entries(memory).map(([type, { weights, cache, rows: passed, total }]) => [
    type,
    ...[weights, cache, passed, total].map(showBytes),
  ]);
  const inputs = blueprint.kind === 'images' ? 'an image at a time' : `texts of ${found.context} tokens`;
  io.stdout(`\nMemory for ${inputs}:\n${columns([['', 'weights', 'keys and values', 'rows', 'in all'], ...table])}`);
  return EXIT.ok;
}

export interface StackSummary {
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
  readonly inner: number;
  readonly gated: boolean;
  readonly activation: string;
  readonly norm: string;
  readonly positions: readonly string[];
}

/** A blueprint in short. */
export interface Summary {
  readonly family: string;
  readonly modelType: string;
  readonly kind: Blueprint['kind'];
  readonly width: number;
  readonly vocabulary: number;
  /** Null if there is no limit. */
  readonly longest: number | null;
  readonly encoder?: StackSummary;
  readonly decoder?: StackSummary;
  readonly heads: readonly string[];
  readonly labels?: readonly string[];
}

/** What is worth knowing of a blueprint. */
export function summaryOf(blueprint: Blueprint): Summary {
  const { family, modelType, kind, width, vocabulary, longest, encoder, decoder, classifier, logits, pooler } = blueprint;
  return {
    family,
    modelType,
    kind,
    width,
    vocabulary,
    longest: longest ?? null,
    ...(encoder && { encoder: stackSummary(encoder) }),
    ...(decoder && { decoder: stackSummary(decoder) }),
    heads: [...(logits ? ['logits'] : []), ...(pooler ? ['pooler'] : []), ...(classifier ? ['classifier'] : [])],
    ...(classifier && { labels: classifier.labels }),
  };
}

/** A model of images in short. */
export interface ImagesSummary extends Pick<Summary, 'family' | 'modelType' | 'width' | 'labels'> {
  readonly kind: VisionBlueprint['kind'];
  readonly channels: number;
  /** Rows and columns, in pixels. */
  readonly image: readonly number[];
  /** Pixels of a side. */
  readonly patch: number;
  readonly stages: readonly (StackSummary & { readonly grid: readonly number[]; readonly width: number; readonly window: number })[];
}

/** What is worth knowing of one. */
export function imagesSummary(blueprint: VisionBlueprint): ImagesSummary {
  const { family, modelType, kind, width, channels, image, patch, stages, classifier } = blueprint;
  return {
    family,
    modelType,
    kind,
    width,
    channels,
    image,
    patch,
    stages: stages.map((stage) => {
      const summary = stackSummary({ layers: stage.layers.map(({ layer }) => layer) });
      return { grid: stage.grid, width: stage.width, window: stage.layers[0]?.window as number, ...summary };
    }),
    ...(classifier && { labels: classifier.labels }),
  };
}

function stackSummary({ layers }: Pick<Stack, 'layers'>): StackSummary {
  const [first] = layers as [Layer];
  const { attention, mlp } = first;
  const norm = attention.before ?? attention.post ?? attention.after;
  const positions = new Set(layers.flatMap((layer) => layer.attention.positions.map(({ name }) => name)));
  return {
    layers: layers.length,
    heads: attention.heads,
    keyHeads: attention.keyHeads,
    headWidth: attention.headWidth,
    inner: mlp.up.weight.shape[0] as number,
    gated: mlp.gate !== undefined,
    activation: mlp.activation,
    norm: `${norm?.kind ?? 'none'}${attention.before ? ', before' : ''}${attention.after ? ', after' : ''}${attention.post ? ', of the sum' : ''}`,
    positions: [...positions],
  };
}

/** Labels that are shown: there may be thousands. */
const SHOWN = 20;

function labelText(labels: readonly string[]): string {
  const more = labels.length - SHOWN;
  return oneLine(labels.slice(0, SHOWN).join(', ')) + (more > 0 ? ` and ${more} more` : '');
}

function factsOf(blueprint: AnyBlueprint, size: string): (readonly [string, string])[] {
  return blueprint.kind === 'images' ? imageFacts(imagesSummary(blueprint), size) : textFacts(blueprint, size);
}

function imageFacts(summary: ImagesSummary, size: string): (readonly [string, string])[] {
  const { family, modelType, channels, image, patch, stages, labels } = summary;
  return [
    ['model', oneLine(`${modelType} (family ${family}), a model of images`)],
    ['size', size],
    ['image', `${image.join(' × ')} pixels of ${channels} channels, in patches of ${patch} × ${patch}`],
    ...stages.map((stage, n) => {
      const grid = `${stage.grid.join(' × ')} cells of ${stage.width}, windows of ${stage.window} × ${stage.window}; ${stackText(stage)}`;
      return [`stage ${n + 1}`, grid] as const;
    }),
    ...(labels ? [['labels', labelText(labels)] as const] : []),
  ];
}

function textFacts(blueprint: Blueprint, size: string): (readonly [string, string])[] {
  const { family, modelType, kind, width, vocabulary, longest, encoder, decoder, heads, labels } = summaryOf(blueprint);
  const stacks = [encoder && (['encoder', encoder] as const), decoder && (['decoder', decoder] as const)].filter(
    (each) => each !== undefined,
  );
  return [
    [
      'model',
      oneLine(`${modelType} (family ${family}), ${{ encoder: 'an encoder', decoder: 'a decoder', seq2seq: 'an encoder-decoder' }[kind]}`),
    ],
    ['size', size],
    ['width', `${width}`],
    ['vocabulary', `${vocabulary}`],
    ['tokens', longest === null ? 'any number' : `${longest} at most`],
    ...stacks.map(([name, stack]) => [name, stackText(stack)] as const),
    ['heads', heads.join(', ') || 'none'],
    ...(labels ? [['labels', labelText(labels)] as const] : []),
  ];
}

function stackText({ layers, heads, keyHeads, headWidth, inner, gated, activation, norm, positions }: StackSummary): string {
  const shared = keyHeads === heads ? '' : ` over ${keyHeads}`;
  const scheme = positions.length > 0 ? positions.join(' and ') : 'no scheme in attention';
  return `${layers} layers; ${heads} heads${shared} of ${headWidth}; MLP ${inner}${gated ? ' gated' : ''}, ${activation}; norm: ${norm}; positions: ${scheme}`;
}
