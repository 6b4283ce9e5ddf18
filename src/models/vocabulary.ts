// The vocabulary of a tokenizer.json, read from the text into what the library looks tokens up in. By way of an object of the language, a list of its
// entries, a map and another list 30,000 tokens take 31 ms of a cold start on Node 24 and 42 on Node 20; so they take 8 and 10.

/** Ids are kept in 32 bits with a sign. */
export const LARGEST_ID = 0x7fffffff;

/** Tokens by their ids, and ids by their tokens. */
export interface Vocabulary {
  readonly ids: Map<string, number>;
  readonly tokens: string[];
}

/** A text without its vocabulary: `MARK` stands in its place. */
export interface Cut extends Vocabulary {
  readonly rest: string;
}

export const MARK = 'the vocabulary was here';

const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const ZERO = 48;
const NINE = 57;
const COLON = 58;
const BACKSLASH = 92;
const CLOSE = 125;

/** Characters of a token at most that are taken as they are: hosts keep the whole text for a longer part of it. */
const SHORT = 12;
/** Characters of an entry, at least, on average: how long the list of tokens is made. */
const ENTRY = 16;

/**
 * Cuts the first object called "vocab" out of a text. What stands there is then valid JSON, whatever is around it: keys that are all different, and
 * ids that are all different. Anything else is left to `JSON.parse`, and to those who say what is wrong with it: undefined.
 */
export function cutVocabulary(text: string): Cut | undefined {
  const found = /"vocab"\s*:\s*\{/.exec(text);
  if (!found) return undefined;
  const start = found.index + found[0].length - 1;
  const ids = new Map<string, number>();
  const tokens: string[] = new Array(Math.floor(text.length / ENTRY));
  let at = start;
  let count = 0;
  let code: number;
  // One loop that calls little: it runs before the host has compiled anything, and functions for its parts take twice as long.
  do {
    for (code = text.charCodeAt(++at); code <= SPACE; code = text.charCodeAt(++at)) if (!isSpace(code)) return undefined;
    if (code !== QUOTE) return undefined;
    const open = at;
    let plain = true;
    for (code = text.charCodeAt(++at); code !== QUOTE; code = text.charCodeAt(++at)) {
      if (code === BACKSLASH) {
        plain = false;
        at++;
      } else if (!(code >= SPACE)) return undefined; // That is the end of the text, too.
    }
    const token = plain && at - open <= SHORT ? text.slice(open + 1, at) : stringOf(text.slice(open, at + 1));
    for (code = text.charCodeAt(++at); code <= SPACE; code = text.charCodeAt(++at)) if (!isSpace(code)) return undefined;
    if (token === undefined || code !== COLON) return undefined;
    for (code = text.charCodeAt(++at); code <= SPACE; code = text.charCodeAt(++at)) if (!isSpace(code)) return undefined;
    const first = at;
    let id = 0;
    for (; code >= ZERO && code <= NINE; code = text.charCodeAt(++at)) id = id * 10 + code - ZERO;
    const digits = at - first;
    if (digits === 0 || (digits > 1 && text.charCodeAt(first) === ZERO) || id > LARGEST_ID || tokens[id] !== undefined) return undefined;
    ids.set(token, id);
    tokens[id] = token;
    count++;
    for (; code <= SPACE; code = text.charCodeAt(++at)) if (!isSpace(code)) return undefined;
  } while (code === COMMA);
  if (code !== CLOSE || ids.size !== count) return undefined;
  return { ids, tokens, rest: `${text.slice(0, start)}${JSON.stringify(MARK)}${text.slice(at + 1)}` };
}

const isSpace = (code: number): boolean => code === SPACE || code === 10 || code === 13 || code === 9;

/** The string of a literal; undefined if it is none of JSON. */
function stringOf(literal: string): string | undefined {
  try {
    return JSON.parse(literal) as string;
  } catch {
    return undefined;
  }
}
