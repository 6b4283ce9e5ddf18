import { Choice } from '../../ui/controls.tsx';
import { three } from '../../ui/numbers.ts';
import { Bar } from './bar.tsx';
import { inWords, unitOf } from './cases.ts';
import type { Found } from './found.ts';
import { barsOf, publishedOf } from './published.ts';
import { PUBLISHED, type Settings } from './settings.ts';

interface BesideProps {
  readonly found: Found | undefined;
  readonly settings: Settings;
  readonly change: (part: Partial<Settings>) => void;
}

const OPTIONS = PUBLISHED.map((id) => [id, inWords(id)] as const);

/** This browser beside published runs of other runtimes. */
export function Beside({ found, settings: { measure, beside, precision }, change }: BesideProps) {
  const wanted = found?.precision ?? precision;
  const published = publishedOf(wanted) ?? publishedOf('reproducible');
  if (!published) return null;
  const own = found && { label: `this browser${found.precision === published.precision ? '' : `, ${found.precision}`}`, rows: found.rows };
  const bars = barsOf(beside, measure, own, published);
  const most = Math.max(...bars.map(({ value }) => value));
  const unit = unitOf(measure, beside);
  return (
    <section aria-labelledby="beside">
      <h3 id="beside">Beside published runs</h3>
      <p class="quiet">
        Measured on {published.date}, {published.cpu}, {published.cores} cores, {published.precision}
        {published.precision === wanted ? '' : ` (none are published in ${wanted})`}. Another machine than yours: look at how the runtimes
        differ more than at the numbers.
      </p>
      <Choice label="Case" value={beside} options={OPTIONS} onChange={(id) => change({ beside: id })} />
      <section class="scrolls" tabIndex={0} aria-label="This browser and published runs">
        <table class="bars">
          <thead>
            <tr>
              <th scope="col">runtime</th>
              <th scope="col">threads</th>
              <th scope="col">{unit}</th>
            </tr>
          </thead>
          <tbody>
            {bars.map(({ label, threads, value, own: mine }) => (
              <tr key={`${label} ${threads}`} class={mine ? 'mine' : ''}>
                <th scope="row">{label}</th>
                <td class="number">{threads}</td>
                <td class="length">
                  <Bar text={three(value)} value={value} most={most} own={mine} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {!bars.some(({ own: mine }) => mine) && <p class="quiet">Run this case to see this browser among them.</p>}
    </section>
  );
}
