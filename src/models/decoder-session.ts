// A text that is kept while it grows: a chat, or a beginning that many have in common.

import { wrongType } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { Disposing } from '../memory/dispose.ts';
import type { JsonObject } from './checkpoint.ts';
import type { Driver, Sequence } from './driver-types.ts';
import { disposed } from './encoder-model.ts';
import { type Finish, type GenerateOptions, type Generation, readGeneration, Writing, write } from './generation.ts';
import { expectKnown, type Tokenizer } from './tokenizer.ts';
import { checkFits, single } from './writer.ts';

interface SessionParts {
  readonly driver: Driver;
  readonly tokenizer: Tokenizer;
  readonly generation: JsonObject | undefined;
  readonly ends: ReadonlySet<number>;
}

/** A text that is kept while it grows. Made by `decoder.session`; ended by `dispose()` or `using`. */
export class Session extends Disposing {
  readonly #parts: SessionParts;
  readonly #sequence: Sequence;
  readonly #tokens: number[];
  readonly #index: number;
  #forks = 0;
  #state: 'idle' | 'writing' | 'disposed' = 'idle';

  /** @internal */
  constructor(parts: SessionParts, sequence: Sequence, tokens: number[], index: number) {
    super();
    this.#parts = parts;
    this.#sequence = sequence;
    this.#tokens = tokens;
    this.#index = index;
  }

  /** The numbers of its tokens. */
  get tokens(): readonly number[] {
    return [...this.#tokens];
  }

  /** Its text. */
  get text(): string {
    return this.#parts.tokenizer.decode(this.#tokens);
  }

  /** Appends a text, without tokens that frame it. It may become longer than the context: then it is continued with `contextShift` alone. */
  append(text: string): void {
    this.#idle('append');
    if (typeof text !== 'string') throw wrongType('append', 'text', 'a string', text);
    const { tokenizer, driver } = this.#parts;
    const { ids } = tokenizer.encode(text, { specialTokens: false, maxLength: Infinity }, 'append');
    for (const id of expectKnown('append', tokenizer, ids, driver.blueprint.vocabulary)) this.#tokens.push(id);
  }

  /**
   * Continues it, and keeps what is generated.
   *
   * @throws RangeError if it has more tokens than the context, as it has when an earlier generation filled that, unless `contextShift` is given
   */
  generate(options?: GenerateOptions): AsyncGenerator<string, Finish, void> {
    this.#idle('generate');
    return this.continue(readGeneration('generate', options, this.#parts.generation));
  }

  /** @internal */
  async *continue(generation: Generation): AsyncGenerator<string, Finish, void> {
    this.#idle('generate');
    const { driver, tokenizer, ends } = this.#parts;
    checkFits('generate', 'session', this.#tokens, generation, driver);
    this.#state = 'writing';
    try {
      const writing = new Writing(this.#index, this.#sequence, this.#tokens, tokenizer, generation);
      return yield* single(write(driver, [writing], generation, ends), () => {
        if (this.#isDisposed) throw disposed('generate', 'session');
      });
    } catch (error) {
      // Its cache went with it, whoever found that first.
      throw this.#isDisposed ? disposed('generate', 'session') : error;
    } finally {
      if (this.#state === 'writing') this.#state = 'idle';
    }
  }

  /** Another text that begins with this one, whose tokens are not computed again; it draws other tokens with the same seed. */
  async fork(): Promise<Session> {
    this.#idle('fork');
    this.#forks++;
    const [tokens, index] = [[...this.#tokens], this.#index + this.#forks];
    return new Session(this.#parts, await this.#sequence.fork(), tokens, index);
  }

  /** Gives its memory back. */
  dispose(): void {
    if (this.#state === 'disposed') return;
    this.#state = 'disposed';
    this.#sequence.dispose();
  }

  get #isDisposed(): boolean {
    return this.#state === 'disposed';
  }

  #idle(where: string): void {
    if (this.#isDisposed) throw disposed(where, 'session');
    if (this.#state === 'writing') throw new RelposError('busy', `${where}: the session is being continued`);
  }
}
