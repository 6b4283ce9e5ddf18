// Whether a run gave the bits that Node gives.
import type { BenchPrecision, BenchRow } from 'relpos/bench';
import { type Known, known } from './cases.ts';

/** Of a row: the reference's bits, others, those that belong to this device alone (relaxed), or none that are known. */
export type Bits = 'same' | 'other' | 'own' | 'unknown';

/** Compares a row's hash with the reference. */
export function bitsOf(
  { case: id, hash }: Pick<BenchRow, 'case' | 'hash'>,
  precision: BenchPrecision,
  find: (id: string) => Known | undefined = known,
): Bits {
  if (precision === 'relaxed') return 'own';
  const expected = find(id)?.hashes[precision];
  if (expected === undefined) return 'unknown';
  return hash === expected ? 'same' : 'other';
}

/** What the badge says, and whether it is good, bad, or neither. */
export interface Verdict {
  readonly kind: 'good' | 'bad' | 'none';
  readonly badge: string;
  readonly text: string;
}

const several = (count: number, one: string, many: string): string => (count === 1 ? `1 ${one}` : `${count} ${many}`);

/** The verdict on some rows. */
export function verdictOf(
  rows: readonly BenchRow[],
  precision: BenchPrecision,
  host: string,
  find?: (id: string) => Known | undefined,
): Verdict {
  const kinds = rows.map((row) => bitsOf(row, precision, find));
  const failed = rows.filter(({ failure }) => failure !== undefined);
  const other = rows.filter((_, n) => kinds[n] === 'other');
  const same = kinds.filter((kind) => kind === 'same').length;
  if (rows.length === 0)
    return { kind: 'none', badge: 'not compared yet', text: 'Run the benchmark: every output is hashed and compared.' };
  if (failed.length > 0 || other.length > 0) {
    const wrong = [...new Set([...other, ...failed].map((row) => row.case))];
    return {
      kind: 'bad',
      badge: 'other bits',
      text:
        `In ${several(wrong.length, 'case', 'cases')} (${wrong.join(', ')}) this browser did not compute what ${host} computes. ` +
        'Equal bits are what relpos promises in this precision, so this is a fault of relpos or of this browser: please report it with the JSON below.',
    };
  }
  if (precision === 'relaxed') {
    return {
      kind: 'none',
      badge: 'this device’s own bits',
      text: 'Relaxed kernels round as this device does, so there is nothing to compare them with; each output was held against a plain evaluation in double precision.',
    };
  }
  const unknown = kinds.length - same;
  return {
    kind: same > 0 ? 'good' : 'none',
    badge: same > 0 ? 'same bits' : 'not compared',
    text:
      (same > 0 ? `This browser computed the same bits as ${host} in ${same === 1 ? 'the one row' : `all ${same} rows`}.` : '') +
      (unknown > 0 ? ` For ${several(unknown, 'row', 'rows')} there is no reference.` : ''),
  };
}
