// Text from text by a model that reads one and writes another.

import { wrongType } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import type { Sequence } from './driver-types.ts';
import { textsOf } from './encoder-model.ts';
import { type Finish, type GenerateOptions, type Generation, type IndexedPiece, readGeneration, Writing, write } from './generation.ts';
import { pausing } from './slices.ts';
import { expectKnown } from './tokenizer.ts';
import { alone } from './turns.ts';
import { type DecoderParts, isToken, roomFor, single, Writer } from './writer.ts';

/** A model that reads a text and writes another. Made by `loadSeq2Seq`; ended by `dispose()` or `using`. */
export class Seq2Seq extends Writer {
  /** @internal */
  constructor(parts: DecoderParts) {
    super(parts, 'model');
  }

  /**
   * Writes what the model makes of a text, piece by piece.
   *
   * @example
   * for await (const piece of model.generate('nd gd sd')) process.stdout.write(piece);
   */
  generate(text: string, options?: GenerateOptions): AsyncGenerator<string, Finish, void> {
    const where = 'generate';
    const { generation } = this.alive(where);
    if (typeof text !== 'string') throw wrongType(where, 'text', 'a string', text);
    return this.#generate(where, text, readGeneration(where, options, generation));
  }

  #generate(where: string, text: string, generation: Generation): AsyncGenerator<string, Finish, void> {
    return single(this.#generateAll(where, [text], generation));
  }

  /** The same for several texts side by side. */
  generateAll(texts: readonly string[], options?: GenerateOptions): AsyncGenerator<IndexedPiece, readonly Finish[], void> {
    const where = 'generateAll';
    const { generation } = this.alive(where);
    if (!Array.isArray(texts)) throw wrongType(where, 'texts', 'an array of strings', texts);
    return this.#generateAll(where, textsOf(where, 'texts', texts), readGeneration(where, options, generation));
  }

  async *#generateAll(
    where: string,
    texts: readonly string[],
    generation: Generation,
  ): AsyncGenerator<IndexedPiece, readonly Finish[], void> {
    const { driver, tokenizer } = this.alive(where);
    const sequences: Sequence[] = [];
    try {
      const writings: Writing[] = [];
      const pause = pausing(generation.signal);
      for (const [index, text] of texts.entries()) {
        const turn = pause();
        if (turn) await turn;
        const { ids } = tokenizer.encode(text, { maxLength: Math.min(tokenizer.maxLength, driver.longest) }, where);
        expectKnown(where, tokenizer, ids, this.blueprint.vocabulary);
        const tokens = [this.#start(where)];
        const capacity = roomFor(tokens, { ...generation, contextShift: false }, driver);
        const sequence = await alone(driver, () => driver.sequence({ source: { ids }, capacity, signal: generation.signal }));
        sequences.push(sequence);
        writings.push(new Writing(index, sequence, tokens, tokenizer, { ...generation, contextShift: false }));
      }
      return yield* write(driver, writings, { ...generation, contextShift: false }, this.ends(where));
    } catch (error) {
      throw this.reasonOf(where, error);
    } finally {
      for (const sequence of sequences) sequence.dispose();
    }
  }

  /** The token with which the decoder starts. */
  #start(where: string): number {
    const { generation, tokenizer } = this.parts;
    const { tokens, vocabulary } = this.blueprint;
    const own = generation?.decoder_start_token_id;
    const start = Number.isInteger(own) ? (own as number) : (tokens.start ?? tokenizer.special.pad?.id ?? 0);
    if (isToken(start, vocabulary)) return start;
    throw new RelposError('bad-checkpoint', `${where}: "decoder_start_token_id" expected a token in 0 … ${vocabulary - 1}, got ${start}`);
  }
}
