// What the losses show, in sentences that are made of them.
import { BLOCK } from './losses.ts';
import { type Difference, difference, keyOf, meanLoss, type Results, rise, riseByPosition } from './results.ts';
import { SCHEMES, type SchemeName, TRAINED } from './schemes.ts';

/** Nats a byte: one seed and models this small leave smaller differences without meaning. */
export const MEANS_NOTHING = 0.02;
/** Nats a byte by which a block is worse where a scheme has left its level. */
const LEFT = 0.1;
/** So many standard errors on both sides. */
const SURE = 2;

export type Verdict = 'holds' | 'fails' | 'unclear';

/** What a difference from the trained length says. */
export function verdictOf({ mean, error }: Difference): Verdict {
  if (mean <= MEANS_NOTHING) return 'holds';
  return mean - SURE * error > MEANS_NOTHING ? 'fails' : 'unclear';
}

export const bytes = (n: number): string => n.toLocaleString('en');
/** A difference with its sign, unless it rounds to nothing. */
export function signed(x: number): string {
  const size = Math.abs(x).toFixed(2);
  return size === '0.00' ? size : `${x < 0 ? '−' : '+'}${size}`;
}

/** a, b and c. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

const title = (scheme: SchemeName): string => SCHEMES[scheme].title;

/** What is computed, and chosen. */
export interface Shown {
  readonly results: Results;
  readonly schemes: readonly SchemeName[];
  /** Ascending. */
  readonly windows: readonly number[];
}

/** The windows that every chosen scheme has read; while there is none, those that one has. */
export function complete({ results, schemes, windows }: Shown): readonly number[] {
  const read = (window: number) => (scheme: SchemeName) => results.get(keyOf(scheme, window))?.length;
  const whole = windows.filter((window) => schemes.every(read(window)));
  return whole.length ? whole : windows.filter((window) => schemes.some(read(window)));
}

/** Sentences about what is shown, of windows that are complete; none while there is nothing to say. */
export function sentences(all: Shown): string[] {
  const shown = { ...all, windows: complete(all) };
  return [trained(shown), ...beyond(shown), where(shown), stretched(shown)].filter((one) => one !== undefined);
}

/** Who is best at the length of the training. */
function trained({ results, schemes, windows }: Shown): string | undefined {
  if (!windows.includes(TRAINED)) return undefined;
  const own = schemes.flatMap((scheme) => {
    const loss = SCHEMES[scheme].stretched ? undefined : meanLoss(results, scheme, TRAINED);
    return loss === undefined ? [] : [{ scheme, loss }];
  });
  own.sort((a, b) => a.loss - b.loss);
  const [best, worst] = [own[0], own.at(-1)];
  if (!best || !worst || own.length < 2) return undefined;
  const alike = own.filter(({ loss }) => loss - best.loss < MEANS_NOTHING).map(({ scheme }) => title(scheme));
  const first = `In windows of ${TRAINED} bytes, as in training, ${listed(alike)} ${alike.length > 1 ? 'are best, and alike' : 'is best'}: ${best.loss.toFixed(2)} nats a byte`;
  return worst.loss - best.loss < MEANS_NOTHING ? `${first}.` : `${first}; ${title(worst.scheme)} is last with ${worst.loss.toFixed(2)}.`;
}

/** A scheme's fate at the longest window that was computed. */
function fateOf({ results, windows }: Shown, scheme: SchemeName) {
  const rises = windows.flatMap((window) => {
    const found = window > TRAINED ? rise(results, scheme, window, TRAINED) : undefined;
    return found ? [{ window, ...found, verdict: verdictOf(found) }] : [];
  });
  const last = rises.at(-1);
  return last && { scheme, ...last, from: rises.find(({ verdict }) => verdict === 'fails')?.window };
}

/** Who holds, who fails, and who cannot be told. */
function beyond(shown: Shown): string[] {
  const all = shown.schemes.map((scheme) => fateOf(shown, scheme)).filter((one) => one !== undefined);
  const longest = Math.max(...all.map(({ window }) => window));
  const fates = all.filter(({ window }) => window === longest);
  const of = (verdict: Verdict) => fates.filter((one) => one.verdict === verdict);
  const by = ({ scheme, mean }: { scheme: SchemeName } & Difference): string => `${title(scheme)} (${signed(mean)})`;
  const said: string[] = [];
  const [held, failed, unclear] = [of('holds'), of('fails'), of('unclear')];
  const times = `${bytes(longest)} bytes, ${longest / TRAINED} times as many`;
  if (held.length) said.push(`Up to ${times}, ${listed(held.map(by))} ${held.length > 1 ? 'hold' : 'holds'} the level.`);
  if (failed.length) {
    const begin = [...new Set(failed.map(({ from }) => from as number))].sort((a, b) => a - b);
    const groups = begin.map((from) => `from ${bytes(from)} on by ${listed(failed.filter((one) => one.from === from).map(by))}`);
    said.push(`The level is lost ${groups.join('; ')}: so much more a byte at ${bytes(longest)}.`);
  }
  if (unclear.length) said.push(`Of ${listed(unclear.map(by))} this text is too short to tell.`);
  const reasons = failed.flatMap(({ scheme }) => REASONS[scheme] ?? []);
  if (reasons.length) said.push(`Probable reasons: ${reasons.join('; ')}.`);
  return said;
}

/** Of those that fail where they were not changed for it. */
const REASONS: Partial<Record<SchemeName, string>> = {
  none: 'with no position, a model can only count what stands before, and never counted so far',
  sinusoidal: `the sines of positions from ${TRAINED} on were never seen in training`,
  t5: 'T5 gives all that is 64 bytes away and more one bias, and the more there is of it the more weight it takes from what is near',
  rotary: 'rotary’s slow channels reach angles that training never showed',
};

/** From which byte of the window on it is worse, to the end. */
export function leavesAt(results: Results, scheme: SchemeName, window: number): number | undefined {
  const rises = riseByPosition(results, scheme, window, TRAINED);
  if (!rises) return undefined;
  const good = rises.findLastIndex((x) => x <= LEFT);
  return good === rises.length - 1 ? undefined : (good + 1) * BLOCK;
}

function where({ results, schemes, windows }: Shown): string | undefined {
  const computed = windows.filter((window) => window > TRAINED && schemes.some((scheme) => results.has(keyOf(scheme, window))));
  const longest = computed.at(-1);
  if (longest === undefined) return undefined;
  const left = new Map<number, string[]>();
  for (const scheme of schemes) {
    const at = leavesAt(results, scheme, longest);
    if (at !== undefined) left.set(at, [...(left.get(at) ?? []), title(scheme)]);
  }
  if (!left.size) return undefined;
  const places = [...left].sort(([a], [b]) => a - b).map(([at, names]) => `from byte ${bytes(at)} on ${listed(names)}`);
  return `Where in a window of ${bytes(longest)} it goes wrong: ${places.join('; ')}. There it is worse to the end, by more than ${LEFT}, than windows of ${TRAINED} on the same bytes.`;
}

/** Which of the ways to stretch rotary helps most. */
function stretched({ results, schemes, windows }: Shown): string | undefined {
  const rows = schemes.filter((scheme) => SCHEMES[scheme].file === 'rotary');
  if (rows.length < 2) return undefined;
  const best = windows.flatMap((window) => {
    if (window <= TRAINED || rows.some((scheme) => !results.get(keyOf(scheme, window))?.length)) return [];
    const losses = rows.map((scheme) => results.get(keyOf(scheme, window)) as Float32Array);
    const means = rows.map((scheme) => meanLoss(results, scheme, window) as number);
    const first = means.indexOf(Math.min(...means));
    const alike = rows.filter(
      (_, n) => verdictOf(difference(losses[n] as Float32Array, losses[first] as Float32Array, window)) !== 'fails',
    );
    return [`at ${bytes(window)} ${listed(alike.map(title))}`];
  });
  return best.length ? `Best of the rotary rows, none of which was trained on long windows: ${best.join('; ')}.` : undefined;
}
