import { Chart } from '../../ui/chart.tsx';
import { Figure } from '../../ui/figure.tsx';
import type { ConfigReport } from './config.ts';
import { schemeAddress } from './link.ts';

/** What a config says of positions. */
export function ConfigShown({ report }: { report: ConfigReport }) {
  const { model, words, distances, curves, caption, link } = report;
  const found = link && schemeAddress(link);
  return (
    <section class="config" aria-label="What the config says">
      <h3>Positions of {model}</h3>
      <ul>
        {words.length ? (
          words.map((sentence) => <li key={sentence}>{sentence}</li>)
        ) : (
          <li>The config names no scheme of positions that is known here.</li>
        )}
      </ul>
      {curves.length > 0 && (
        <Figure title={caption}>
          <Chart
            label={`${caption} ${curves.map(({ label }) => label).join(', ')}.`}
            x={distances}
            series={curves.map(({ label, values }) => ({ label: label.replaceAll('_', ' '), values }))}
            across="distance in tokens"
            up="score"
            doubling
          />
        </Figure>
      )}
      {found && (
        <p>
          <a href={found.hash}>See this scheme in Schemes</a>
          {!found.exact && ', as near as its controls go'}
        </p>
      )}
    </section>
  );
}
