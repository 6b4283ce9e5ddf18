import { three } from '../../ui/numbers.ts';
import { Bar } from './bar.tsx';
import { type Bits, bitsOf, verdictOf } from './bits.ts';
import { inWords, type Measure, measured, unitOf } from './cases.ts';
import type { Found } from './found.ts';
import reference from './reference.json';

const BADGES = { good: 'badge good', bad: 'badge warn', none: 'badge' } as const;
const BITS: Readonly<Record<Bits, string>> = { same: '✓ same', other: '✗ other', own: 'its own', unknown: 'no reference' };

interface ResultsProps {
  readonly found: Found | undefined;
  readonly measure: Measure;
}

/** Whether the bits are those of the reference, and a row for each case and number of threads. */
export function Results({ found, measure }: ResultsProps) {
  const rows = found?.rows ?? [];
  const { kind, badge, text } = verdictOf(rows, found?.precision ?? 'reproducible', reference.host);
  return (
    <section aria-labelledby="results">
      <h3 id="results">This browser</h3>
      <p class="verdict">
        <span class={BADGES[kind]}>{badge}</span> {text}
      </p>
      {found && rows.length > 0 && <Table found={found} measure={measure} />}
    </section>
  );
}

function Table({ found, measure }: { found: Found; measure: Measure }) {
  const { rows, precision, result } = found;
  const values = rows.map((row) => measured(measure, row.case, row.ms));
  /** Bars are of one length for one unit. */
  const most = (unit: string): number => Math.max(0, ...rows.map((row, n) => (unitOf(measure, row.case) === unit ? (values[n] ?? 0) : 0)));
  return (
    <section class="scrolls" tabIndex={0} aria-label="Results of the benchmark">
      <table class="bars cases">
        <thead>
          <tr>
            <th scope="col">Case</th>
            <th scope="col">threads</th>
            <th scope="col">median</th>
            <th scope="col" class="less">
              of peak
            </th>
            <th scope="col">bits</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, n) => {
            const unit = unitOf(measure, row.case);
            const value = values[n];
            const bits = bitsOf(row, precision);
            return (
              <tr key={`${row.case} ${row.threads}`}>
                {rows[n - 1]?.case !== row.case && (
                  <th scope="rowgroup" rowSpan={rows.filter((one) => one.case === row.case).length}>
                    {inWords(row.case)}
                  </th>
                )}
                <td class="number">{row.threads}</td>
                <td class="length">
                  {value === undefined ? '–' : <Bar text={`${three(value)} ${unit}`} value={value} most={most(unit)} own />}
                </td>
                <td class="number less">{row.share === null ? '–' : `${Math.round(100 * row.share)} %`}</td>
                <td class={bits === 'same' ? 'good' : bits === 'other' ? 'warn' : ''} title={row.hash}>
                  {row.failure ?? BITS[bits]}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p class="quiet">{measure === 'ms' ? 'Shorter' : 'Longer'} is faster; bars of one unit are of one scale.</p>
      {result?.clock.why && <p class="warn">No times: {result.clock.why}.</p>}
      {result && <p class="quiet">{peakWords(result.peak)}</p>}
    </section>
  );
}

function peakWords({ mulAdd, fused, int16 }: NonNullable<Found['result']>['peak']): string {
  if (mulAdd === null) return '';
  const more = [fused ? `${three(fused)} fused` : '', int16 ? `${three(int16)} of 16-bit integers` : ''].filter(Boolean).join(', ');
  return `The peak: what one thread of this browser can multiply and add at most, ${three(mulAdd)} GFLOP/s${more && ` (${more})`}.`;
}
