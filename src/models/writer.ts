// What both kinds of models have that write text.

import { describe, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { Disposing } from '../memory/dispose.ts';
import type { Blueprint } from './blueprint.ts';
import type { ChatTemplates } from './chat.ts';
import type { JsonObject } from './checkpoint.ts';
import type { Driver } from './driver-types.ts';
import { disposed } from './encoder-model.ts';
import { type Finish, type Generation, type IndexedPiece, ofFile } from './generation.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What a decoder is made of. */
export interface DecoderParts {
  readonly driver: Driver;
  readonly tokenizer: Tokenizer;
  readonly templates: ChatTemplates;
  /** `generation_config.json`. */
  readonly generation: JsonObject | undefined;
  /** Ends what was made for this model alone. */
  readonly end?: () => void;
}

/** What both kinds of models have that write text. */
export abstract class Writer extends Disposing {
  protected readonly parts: DecoderParts;
  readonly #name: string;
  #disposed = false;

  protected constructor(parts: DecoderParts, name: string) {
    super();
    this.parts = parts;
    this.#name = name;
  }

  /** What it computes, from which tensors. */
  get blueprint(): Blueprint {
    return this.parts.driver.blueprint;
  }

  get tokenizer(): Tokenizer {
    return this.parts.tokenizer;
  }

  /** Tokens that a text may have, its continuation included. */
  get context(): number {
    return this.parts.driver.longest;
  }

  /** Gives the memory back; ends the engine too if it was made for this model. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.parts.driver.dispose(this.parts.end);
  }

  protected alive(where: string): DecoderParts {
    if (this.#disposed) throw disposed(where, this.#name);
    return this.parts;
  }

  /** Why a call failed: of a model that was disposed of meanwhile, that. */
  protected reasonOf(where: string, error: unknown): unknown {
    return this.#disposed && error instanceof RelposError && error.code === 'disposed' ? disposed(where, this.#name) : error;
  }

  /** The tokens that end a text. @throws RelposError `bad-checkpoint` if generation_config.json names what is none */
  protected ends(where: string): ReadonlySet<number> {
    const { generation, tokenizer } = this.parts;
    const own = generation?.eos_token_id ?? [];
    const listed: readonly unknown[] = Array.isArray(own) ? own : [own];
    const { tokens, vocabulary } = this.blueprint;
    for (const id of listed) {
      if (!isToken(id as number, vocabulary))
        throw ofFile(wrongValue(where, 'eos_token_id', `tokens in 0 … ${vocabulary - 1}`, describe(id)));
    }
    if (listed.length > 0) return new Set(listed as readonly number[]);
    const { ends } = tokens;
    const { eos } = tokenizer.special;
    return new Set(ends.length > 0 || !eos ? ends : [eos.id]);
  }
}

export const isToken = (id: number, vocabulary: number): boolean => Number.isInteger(id) && id >= 0 && id < vocabulary;

/** Tokens that a sequence needs room for. */
export function roomFor({ length }: readonly number[], { maxTokens, contextShift }: Generation, { longest }: Driver): number {
  return contextShift ? longest : Math.min(longest, length + maxTokens);
}

/** @throws RangeError if a text does not fit and must not be cut */
export function checkFits(
  where: string,
  name: string,
  { length }: readonly number[],
  { contextShift }: Partial<Generation>,
  { longest }: Driver,
): void {
  if (length <= longest || contextShift) return;
  const how = contextShift === undefined ? undefined : 'with "contextShift" the older half of them is forgotten';
  throw wrongValue(where, name, `at most ${longest} tokens`, `${length}`, how);
}

/** The pieces of one text alone, and `check` after each. Broken off, it ends what they come from. */
export async function* single(
  pieces: AsyncGenerator<IndexedPiece, readonly Finish[], void>,
  check?: () => void,
): AsyncGenerator<string, Finish, void> {
  try {
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) return value[0] as Finish;
      yield value.text;
      check?.();
    }
  } finally {
    await pieces.return([]);
  }
}
