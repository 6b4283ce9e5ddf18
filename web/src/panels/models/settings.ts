// What the address holds of the panel.

export const PARTS = [
  ['sentences', 'Sentences'],
  ['words', 'Where a word looks'],
  ['story', 'Story'],
  ['files', 'Your files'],
] as const;
export type Part = (typeof PARTS)[number][0];

export interface Settings {
  readonly part: Part;
  /** Sentences to compare, one a line. */
  readonly texts: string;
  /** The sentence whose words look. */
  readonly text: string;
  readonly layer: number;
  /** From 0; −1 for the mean of all, which an address has as 0. */
  readonly head: number;
  /** Which token is chosen. */
  readonly token: number;
  readonly prompt: string;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  /** A text that ends the story; '' for none. */
  readonly end: string;
  readonly tokens: number;
}

export const DEFAULTS: Settings = {
  part: 'sentences',
  texts: `How old are you?
What is your age?
The cat sleeps on the warm roof.
A kitten is dozing on top of the house.
Trains were late because of the snow.
Snow delayed the railway.`,
  text: 'The cat sleeps on the warm roof, and she dreams of fish.',
  // “she” looks at the cat.
  layer: 1,
  head: -1,
  token: 10,
  prompt: 'There was a certain man',
  temperature: 0.7,
  topK: 0,
  topP: 0.9,
  seed: 2,
  end: '',
  tokens: 200,
};

/** Words at most that an address holds: longer ones stay in the page. */
const LONGEST = 800;

type Words = Readonly<Record<string, string>>;

const within = (word: string | undefined, least: number, most: number, otherwise: number): number => {
  const x = Number(word);
  return word !== undefined && word.trim() !== '' && x >= least && x <= most ? x : otherwise;
};
const whole = (word: string | undefined, least: number, most: number, otherwise: number): number => {
  const x = within(word, least, most, otherwise);
  return Number.isInteger(x) ? x : otherwise;
};

/** What an address says; what is missing or wrong is the default. */
export function readSettings(words: Words): Settings {
  const { part, texts, text, prompt, end } = words;
  return {
    part: PARTS.find(([name]) => name === part)?.[0] ?? DEFAULTS.part,
    texts: texts ?? DEFAULTS.texts,
    text: text ?? DEFAULTS.text,
    layer: whole(words.layer, 1, 256, DEFAULTS.layer + 1) - 1,
    head: whole(words.head, 0, 256, DEFAULTS.head + 1) - 1,
    token: whole(words.token, 1, 4096, DEFAULTS.token + 1) - 1,
    prompt: prompt ?? DEFAULTS.prompt,
    // Next to nothing is the likeliest token always.
    temperature: Math.round(100 * within(words.temperature, 0, 2, DEFAULTS.temperature)) / 100,
    topK: whole(words.k, 0, 200, DEFAULTS.topK),
    topP: within(words.p, 0.05, 1, DEFAULTS.topP),
    seed: whole(words.seed, 0, 9999, DEFAULTS.seed),
    end: end ?? DEFAULTS.end,
    tokens: whole(words.tokens, 10, 250, DEFAULTS.tokens),
  };
}

const LETTERS = [
  ['temperature', 'temperature'],
  ['topK', 'k'],
  ['topP', 'p'],
  ['seed', 'seed'],
  ['tokens', 'tokens'],
] as const;

/** The same as words: undefined for what is a default, or too long for an address. */
export function writeSettings(settings: Settings): Readonly<Record<string, string | undefined>> {
  const words: Record<string, string | undefined> = {};
  if (settings.part !== DEFAULTS.part) words.part = settings.part;
  for (const key of ['texts', 'text', 'prompt', 'end'] as const) {
    if (settings[key] !== DEFAULTS[key] && settings[key].length <= LONGEST) words[key] = settings[key];
  }
  if (settings.layer !== DEFAULTS.layer) words.layer = String(settings.layer + 1);
  if (settings.head !== DEFAULTS.head) words.head = String(settings.head + 1);
  if (settings.token !== DEFAULTS.token) words.token = String(settings.token + 1);
  for (const [key, word] of LETTERS) if (settings[key] !== DEFAULTS[key]) words[word] = String(settings[key]);
  return words;
}
