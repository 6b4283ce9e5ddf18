// The page of `relpos report`: tables as HTML, and what the script needs for the charts.

import type { Bar, Chart, Charts } from '../report/data.ts';
import { differencesOf, verdict } from './bench-compare.ts';
import type { Point, Series } from './bench-files.ts';
import { digits, showTime } from './report.ts';

/** What stands around the results. */
export interface PageParts {
  readonly title: string;
  readonly script: string;
  readonly style: string;
}

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`).replace(/[\p{Cc}\p{Cf}]/gu, ' ');

/** JSON in a script element: nothing in it may end the element. */
const jsonInScript = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

/** Code in a script element: what would end the element is in texts alone, where a backslash changes nothing. */
const codeInScript = (code: string): string => code.replace(/<(?=\/script|!--)/gi, '<\\');

const UNITS = ['GFLOP/s', 'GB/s'];

/** The charts: one for each unit that there is. */
export function chartsOf(series: readonly Series[]): Charts {
  const found = [...new Set([...UNITS, ...series.flatMap(({ points }) => points.map(({ unit }) => unit))])];
  const charts = found.map((unit): Chart => ({ unit, bars: series.flatMap((one) => barsOf(one, unit)) }));
  return { names: series.map(({ name }) => name), charts: charts.filter(({ bars }) => bars.length) };
}

function barsOf({ name, points }: Series, unit: string): Bar[] {
  return points.flatMap(({ case: id, threads, unit: own, rate, ms, share }) => {
    if (own !== unit || rate === null) return [];
    const detail = [
      `${digits(rate)} ${unit}`,
      ms === null ? '' : showTime(ms),
      share === null ? '' : `${Math.round(100 * share)} % of its peak`,
    ];
    return [{ name, case: id, threads, rate, detail: detail.filter(Boolean).join(', ') }];
  });
}

/** Whether the bits are the same, as a sentence in a box. */
function bits(series: readonly Series[]): string {
  const differences = differencesOf(series);
  const text = verdict(series, differences).trim();
  const kind = differences.length ? 'different' : /\d/.test(text) ? 'same' : 'soft';
  return `<p class="verdict ${kind}">${escaped(text.charAt(0).toUpperCase() + text.slice(1))}</p>`;
}

const cell = (text: string, kind = ''): string => `<td${kind && ` class="${kind}"`}>${text}</td>`;

function hostTable(series: readonly Series[]): string {
  const peaks = ({ peak }: Series): string =>
    [peak?.mulAdd, peak?.fused, peak?.int16]
      .flatMap((rate, n) => (rate ? [`${['', 'fused ', 'int16 '][n]}${digits(rate)}`] : []))
      .join(', ') || '–';
  const rows = series.map((one) => {
    const { name, host, date, hash, notes, file } = one;
    const notesText = notes.length ? `<br><span class="soft">${escaped(notes.join('; '))}</span>` : '';
    return `<tr><th scope="row">${escaped(name)}</th>${cell(escaped(host) + notesText, 'text wide')}${cell(escaped(date.slice(0, 16).replace('T', ' ')), 'text')}${cell(
      peaks(one),
    )}${cell(hash === undefined ? '–' : `<code>${escaped(hash)}</code>`)}${cell(escaped(file), 'text')}</tr>`;
  });
  return `<div class="table" tabindex="0" role="region" aria-label="Hosts"><table><caption>Each result: its host, one thread's peak, and the hash of all its outputs, equal where the same cases gave the same bits</caption>
<thead><tr><th scope="col" class="text">result</th><th scope="col" class="text">host</th><th scope="col" class="text">date</th><th scope="col">peak, GFLOP/s</th><th scope="col">hash</th><th scope="col" class="text">file</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>`;
}

function rateTable(series: readonly Series[], unit: string): string {
  const keys = new Map(
    series.flatMap(({ points }) =>
      points.filter((point) => point.unit === unit).map((point) => [`${point.case} ${point.threads}`, point] as const),
    ),
  );
  const rows = [...keys.values()].map(({ case: id, threads }) => {
    const own = series.map(({ points }) => points.find((point) => point.case === id && point.threads === threads));
    const best = Math.max(...own.map((point) => point?.rate ?? 0));
    return `<tr><th scope="row">${escaped(id)}</th>${cell(String(threads))}${own.map((point) => rateCell(point, best)).join('')}</tr>`;
  });
  const heads = series.map(({ name }) => `<th scope="col">${escaped(name)}</th>`).join('');
  return `<div class="table" tabindex="0" role="region" aria-label="Rates in ${escaped(unit)}"><table><caption>${escaped(unit)}, the time of a call, and the share of what the same engine was measured to do at most; the fastest of a row is bold</caption>
<thead><tr><th scope="col" class="text">case</th><th scope="col">threads</th>${heads}</tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>`;
}

function rateCell(point: Point | undefined, best: number): string {
  if (point?.rate == null || point.ms === null) return cell('–');
  const share = point.share === null ? '' : `, ${Math.round(100 * point.share)} %`;
  return cell(`${digits(point.rate)} <span class="soft">${showTime(point.ms)}${share}</span>`, point.rate === best ? 'best' : '');
}

/** The whole page. */
export function pageOf(series: readonly Series[], { title, script, style }: PageParts): string {
  const charts = chartsOf(series);
  const sections = charts.charts.map(
    ({ unit }, n) => `<section>
<h2 id="unit-${n}">${unit === 'GB/s' ? 'Decoding and rotation, GB/s' : unit === 'GFLOP/s' ? 'Attention, GFLOP/s' : escaped(unit)}</h2>
<figure id="chart-${n}" aria-labelledby="unit-${n}"></figure>
${rateTable(series, unit)}
</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>${escaped(title)}</title>
<style>
${style.trim()}
</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
<p class="soft">Longer bars are faster. GFLOP/s counts 4·B·H·L·S·D operations whatever the mask; GB/s the keys and values that decoding reads, or a rotation's one read and one write.</p>
${bits(series)}
<fieldset>
<legend>Rows by</legend>
<label><input type="radio" name="view" value="case" checked> case</label>
<label><input type="radio" name="view" value="name"> runtime</label>
</fieldset>
<noscript><p>The charts need JavaScript; the tables have all their numbers.</p></noscript>
${sections.join('\n')}
<section>
<h2>Hosts</h2>
${hostTable(series)}
</section>
</main>
<script type="application/json" id="data">${jsonInScript(charts)}</script>
<script>
${codeInScript(script.trim())}
</script>
</body>
</html>
`;
}
