/** Texts of as many tokens as asked, the same in every run: words of the seeded vocabularies. */
import { random } from '../../peers/lib/inputs.mjs';

/** Numbers of tokens that are words. */
export function words(count, vocabulary, seed) {
  const next = random(seed);
  return Int32Array.from({ length: count }, () => 16 + Math.floor(next() * (vocabulary - 16)));
}

/** A text of so many tokens, with those that frame it. */
export function textOf(model, length, seed = 1) {
  const { before, after } = model.tokens;
  const own = words(length - before.length - after.length, model.config.vocab_size, seed);
  return Array.from(own, (id) => `w${id}`).join(' ');
}

/** A batch as it comes: 32 texts of 6 to 24 tokens. */
export function shortTexts(model) {
  const next = random(7);
  return Array.from({ length: 32 }, (_, n) => textOf(model, 6 + Math.floor(next() * 19), 100 + n));
}
