// Where a text's tokens look: the weights of a layer's attention, from a run as any other up to that layer. They are what its attention makes of values
// that are one row of the unit matrix for each key, from the same q and k, by the same plan and kernel. Loaded with the first call.

import { checkSignal, integer, wrongType, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import { readRecord } from '../arguments/record.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import type { Stack } from './blueprint.ts';
import type { Driver, TokenText, Weighed } from './driver-types.ts';
import type { EncoderProgram, TokenText as RunnerText, Seen } from './encoder.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Options of `attention`. */
export interface AttentionMapOptions {
  /** Which layer, from 0. */
  readonly layer: number;
  readonly signal?: Signal;
}

/** Where the tokens of a text look, in each head of a layer. */
export interface AttentionMap {
  /** The text's tokens, special ones included, as the vocabulary writes them: T of them. */
  readonly tokens: readonly string[];
  /** H. */
  readonly heads: number;
  /** T. */
  readonly length: number;
  /**
   * [H, T, T]: how much of head h's result at token i comes from token j. Between 0 and 1; 0 for tokens that a window hides. A row sums to 1, or to less
   * where the model has sinks.
   */
  readonly probabilities: Float32Array;
}

/** What a call knows of the model. */
export interface MapParts {
  readonly driver: Driver;
  readonly tokenizer: Tokenizer;
  readonly maxLength: number;
  /** The tokens of a text, however many. */
  readonly tokensOf: (text: string) => TokenText;
}

/** Checks a call of `attention`, and runs it. */
export async function attentionMap(
  where: string,
  { driver, tokenizer, maxLength, tokensOf }: MapParts,
  text: unknown,
  options: unknown,
): Promise<AttentionMap> {
  if (typeof text !== 'string') throw wrongType(where, 'text', 'a string', text);
  const last = (driver.blueprint.encoder as Stack).layers.length - 1;
  const { layer, signal } = readRecord<Partial<AttentionMapOptions>>(where, options, {
    layer: (_, name, value) => integer(where, name, value, 0, last),
    signal: (_, name, value) => checkSignal(where, value, name) as Signal,
  });
  if (layer === undefined) throw wrongType(where, 'layer', `an integer in 0 … ${last}`, layer);
  const tokens = tokensOf(text);
  const { length } = tokens.ids;
  if (length > maxLength) throw wrongValue(where, 'text', `at most ${maxLength} tokens`, `${length}`);
  const { heads, weights } = await driver.attention(tokens, layer, { signal });
  const words = Array.from(tokens.ids, (id) => tokenizer.tokenOf(id) ?? '');
  return { tokens: words, heads, length, probabilities: weights };
}

/** What a run is to give. */
interface Made {
  readonly heads: number;
  readonly keys: number;
  readonly out: Tensor;
}

/** The weights of a layer's attention over one text; nothing is to be in the encoder's workspace that is needed. */
export async function weigh(program: EncoderProgram, text: RunnerText, layer: number, signal?: Signal): Promise<Weighed> {
  const { layers, where } = program;
  const scope = new Scope(layers.context.arena);
  let made = undefined as Made | undefined;
  const seen: Seen = {
    layer,
    more({ heads, keyHeads }, rows, keys, plan) {
      const out = scope.own(makeTensor(layers.context, where, [heads, rows, keys]));
      made = { heads, keys, out };
      const stages = [];
      // A head is so wide at most: of a longer text, some keys after others.
      for (let first = 0; first < keys; first += WIDEST_HEAD) {
        const width = Math.min(WIDEST_HEAD, keys - first);
        const unit = new Float32Array(keys * width);
        for (let n = 0; n < width; n++) unit[(first + n) * width + n] = 1;
        const values = scope.own(makeTensor(layers.context, where, [keys, width], unit));
        const v = scope.own(values.restride([keys, keyHeads, width], [width, 0, 1]));
        stages.push(...plan(v, scope.own(out.restride([rows, heads, width], [keys, rows * keys, 1], first))));
      }
      return stages;
    },
  };
  try {
    const { rows } = await program.run([text], signal, undefined, seen);
    rows.dispose();
    const { heads, keys, out } = made as Made;
    return { heads, keys, weights: out.toArray() as Float32Array };
  } finally {
    scope.release();
  }
}
