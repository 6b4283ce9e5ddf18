/** The middle of some numbers; the mean of the two middle ones if there is no one middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}

/** A time in milliseconds, in the unit that reads best. */
export function showTime(milliseconds: number): string {
  if (milliseconds < 1) return `${digits(milliseconds * 1000)} us`;
  return milliseconds < 10_000 ? `${digits(milliseconds)} ms` : `${digits(milliseconds / 1000)} s`;
}

/** A number of bytes, in the unit that reads best; units are powers of 1024. */
export function showBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  const power = bytes < 1024 ? 0 : Math.min(3, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${Number.isInteger(value) ? value : digits(value)} ${units[power]}`;
}

/** Three significant digits, without an exponent for everyday sizes. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 1000 && size < 1e9 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** Lines of a label and a text, the texts in one column. */
export function rows(lines: readonly (readonly [label: string, text: string])[]): string {
  const width = Math.max(...lines.map(([label]) => label.length)) + 2;
  return lines.map(([label, text]) => `${label.padEnd(width)}${text}\n`).join('');
}

/** Lines of cells, each column as wide as its widest. */
export function columns(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] as readonly string[]).map((_, n) => Math.max(...lines.map((line) => (line[n] as string).length)));
  const cell = (text: string, n: number): string => (n === 0 ? text.padEnd(widths[n] as number) : text.padStart(widths[n] as number));
  return lines.map((line) => `  ${line.map(cell).join('  ')}\n`).join('');
}

/** A number for JSON, which has no NaN and no infinities: those become text. */
export function jsonNumber(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** How far two arrays are apart. */
export interface Difference {
  /** The largest |actual − expected|; NaN where exactly one of the two is NaN. */
  readonly largest: number;
  /** `largest` relative to the largest finite |expected|. */
  readonly relative: number;
  /** Where it is: an index into the flat array. */
  readonly index: number;
}

/** Compares element by element. Equal infinities and two NaN count as equal; NaN against a number counts as the largest of all. */
export function compare(actual: ArrayLike<number>, expected: ArrayLike<number>): Difference {
  let largest = 0;
  let index = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i] as number;
    const e = expected[i] as number;
    if (Number.isFinite(e)) size = Math.max(size, Math.abs(e));
    const difference = a === e || (Number.isNaN(a) && Number.isNaN(e)) ? 0 : Math.abs(a - e);
    if (difference > largest || (Number.isNaN(difference) && !Number.isNaN(largest))) [largest, index] = [difference, i];
  }
  return { largest, relative: largest === 0 ? 0 : largest / size, index };
}
