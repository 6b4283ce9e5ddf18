// What the topics print, and the check before anything is timed.
import { wrongness } from '../build/bench-kit.mjs';

export const show = (x, digits = 3) => Number(x.toPrecision(digits)).toString();

/** A share of a peak. */
export const percent = (share) => (share == null ? '-' : `${Math.round(100 * share)} %`);

export function line(name, { median, mad, samples }, rest) {
  console.log(
    `  ${name.padEnd(42)}${`${show(median)} ms`.padStart(12)}${`± ${show(mad, 2)}`.padStart(11)}${`n ${samples}`.padStart(7)}  ${rest}`,
  );
}

/** Runs a case once and checks it. @throws if the output is off */
export async function checked(name, { run, error }, precision) {
  await run();
  const deviation = error();
  const wrong = wrongness(precision, deviation);
  if (wrong) throw new Error(`${name}: WRONG RESULT, ${wrong}`);
  return deviation.error;
}

/** Thousand millions of operations or bytes a second. */
export const rateOf = ({ work }, ms) => work / ms / 1e6;

/** What of a case's work is a share of a peak. */
export const ofPeak = ({ unit, part, traffic, work }) => ({ unit, part, traffic, bytes: work });
