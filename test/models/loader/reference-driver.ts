// The plain reference of test/models as a runner: what uses a model is tested on whole models, whatever computes them.
import { readFileSync } from 'node:fs';
import type { Driver, Sequence, TokenText } from '../../../src/models/driver-types.ts';
import { blueprintOf } from '../../../src/models/families/index.ts';
import type { Scores } from '../../../src/models/sampling.ts';
import type { Pooling } from '../../../src/models/sentence-files.ts';
import { readSafetensors } from '../../../src/safetensors/index.ts';
import { Reference, type Row, type Seen } from '../reference.ts';

interface Own extends Sequence {
  seen: Seen;
  readonly memory: readonly Row[] | undefined;
}

/** Counts what is alive, and what ran. */
export interface Watched {
  sequences: number;
  disposed: boolean;
  /** Tokens of each call of `extend`. */
  readonly extended: number[][];
}

export function referenceDriver(folder: string, longest = 256): Driver & { readonly watched: Watched } {
  const { tensors } = readSafetensors(readFileSync(`${folder}/model.safetensors`));
  const blueprint = blueprintOf(JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')), tensors);
  const reference = new Reference(blueprint, tensors, { longest });
  const watched: Watched = { sequences: 0, disposed: false, extended: [] };
  const rowsOf = ({ ids, types }: TokenText): Row[] =>
    blueprint.encoder
      ? reference.encode(Array.from(ids), types && blueprint.encoder.embeddings.type ? { segments: Array.from(types) } : {})
      : reference.decode(Array.from(ids));

  const sequence = (seen: Seen, memory: readonly Row[] | undefined): Own => {
    watched.sequences++;
    let alive = true;
    return {
      seen,
      memory,
      get length() {
        return this.seen.layers[0]?.keys.length ?? 0;
      },
      truncate(length) {
        for (const layer of this.seen.layers) {
          layer.keys.length = Math.min(layer.keys.length, length);
          layer.values.length = Math.min(layer.values.length, length);
        }
      },
      async fork() {
        return sequence({ layers: this.seen.layers.map(({ keys, values }) => ({ keys: [...keys], values: [...values] })) }, memory);
      },
      dispose() {
        if (alive) watched.sequences--;
        alive = false;
      },
    };
  };

  return {
    blueprint,
    longest,
    math: Math,
    watched,
    hidden: async (texts) => texts.map((text) => Float32Array.from(rowsOf(text).flatMap((row) => [...row]))),
    vectors: async (texts, { pooling, normalize }) => texts.map((text) => pooled(rowsOf(text), pooling, normalize)),
    labels: async (texts) => texts.map((text) => Float32Array.from(reference.classify(rowsOf(text)))),
    logits: async (text, places) => {
      const rows = rowsOf(text);
      return places.map((place) => Float32Array.from(reference.logits(rows[place] as Row)));
    },
    attention: async () => {
      throw new Error('no test asks the reference for weights');
    },
    sequence: async ({ source } = {}) => sequence(reference.nothingSeen(), source && reference.encode(Array.from(source.ids))),
    extend: async (sequences, tokens, options) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (options?.signal?.aborted) throw options.signal.reason;
      watched.extended.push(tokens.map(({ length }) => length));
      return sequences.map((each, n) => {
        const { seen, memory } = each as Own;
        const rows = reference.decode(Array.from(tokens[n] as ArrayLike<number>), seen, memory);
        return scoresOf(reference.logits(rows.at(-1) as Row));
      });
    },
    dispose: (then) => {
      watched.disposed = true;
      then?.();
    },
  };
}

function pooled(rows: readonly Row[], pooling: Pooling, normalize: boolean): Float32Array {
  const [first] = rows as [Row];
  const channel = (n: number): number[] => rows.map((row) => row[n] as number);
  const of: Record<Pooling, (n: number) => number> = {
    mean: (n) => channel(n).reduce((a, b) => a + b, 0) / rows.length,
    cls: (n) => first[n] as number,
    last: (n) => rows.at(-1)?.[n] as number,
    max: (n) => Math.max(...channel(n)),
  };
  const vector = Float64Array.from(first, (_, n) => of[pooling](n));
  const length = normalize ? Math.hypot(...vector) : 1;
  return Float32Array.from(vector, (x) => x / length);
}

function scoresOf(given: Row): Scores {
  const values = Float32Array.from(given);
  return {
    values,
    largest: (count) => [...values.keys()].sort((a, b) => (values[b] as number) - (values[a] as number) || a - b).slice(0, count),
    softmax: (temperature) => {
      const most = values.reduce((a, b) => Math.max(a, b)) / temperature;
      const powers = Float64Array.from(values, (x) => Math.exp(x / temperature - most));
      const sum = powers.reduce((a, b) => a + b);
      values.set(powers.map((x) => x / sum));
    },
  };
}
