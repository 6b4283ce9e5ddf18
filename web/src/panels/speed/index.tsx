import { useMemo } from 'preact/hooks';
import { useSettings } from '../../address.ts';
import { useKept } from '../../kept.ts';
import { Choice, Slider, Toggle } from '../../ui/controls.tsx';
import { Copy } from '../../ui/copy.tsx';
import { Progress, useWork } from '../../ui/work.tsx';
import { Beside } from './beside.tsx';
import { cases, inWords, MEASURES } from './cases.ts';
import { programOf } from './code.ts';
import type { ContestFound } from './contest/found.ts';
import { Contest } from './contest/section.tsx';
import { DeviceReport } from './device-report.tsx';
import { exported, type Found, runBench } from './found.ts';
import { Results } from './results.tsx';
import { besideOf, chosenCases, coresOf, PRECISIONS, type Settings, settingsFor } from './settings.ts';
import './style.css';

const CASES: readonly (readonly [string, string])[] = [
  ['quick', `${chosenCases('quick').length} usual ones`],
  ['all', `all ${cases.length}, longer samples`],
  ...cases.map(({ id }) => [id, inWords(id)] as const),
];

const SAYS: Readonly<Record<Settings['precision'], string>> = {
  reproducible: 'Products in f32, the same bits in every browser and runtime.',
  int16: 'Products of 16-bit integers: faster, and still the same bits everywhere.',
  relaxed: 'Products in f32, fused where this device does so: faster, but its own bits.',
};

export default function Panel() {
  // Without isolation there is one thread, whatever the device has; the report says why.
  const cores = crossOriginIsolated ? coresOf(navigator.hardwareConcurrency) : 1;
  const { read, write } = useMemo(() => settingsFor(cores), [cores]);
  const [settings, set] = useSettings('speed', read, write);
  const [found, keepFound] = useKept<Found>('benchmark');
  const [contest, keepContest] = useKept<ContestFound>('contest');
  const bench = useWork();
  const other = useWork();
  const busy = bench.work.busy || other.work.busy;
  const change = (part: Partial<Settings>): void => set({ ...settings, ...part });
  const start = (): Promise<void> =>
    bench.run(async (signal, tell) => {
      const began = performance.now();
      const { rows } = await runBench(settings, signal, (next) => keepFound(() => next), tell);
      return `Done: ${rows.length} ${rows.length === 1 ? 'row' : 'rows'} in ${((performance.now() - began) / 1000).toFixed(0)} s.`;
    });
  return (
    <div class="sides">
      <div class="controls">
        <fieldset>
          <legend>The benchmark</legend>
          {cores > 1 && (
            <Slider
              label="Threads"
              value={settings.threads}
              least={1}
              most={cores}
              show={(threads) => `${threads} of ${cores}`}
              onChange={(threads) => change({ threads })}
            />
          )}
          {settings.threads > 1 && <Toggle label="One thread beside" checked={settings.one} onChange={(one) => change({ one })} />}
          <Choice label="Precision" value={settings.precision} options={PRECISIONS} onChange={(precision) => change({ precision })} />
          <p class="quiet">{SAYS[settings.precision]}</p>
          <Choice
            label="Cases"
            value={settings.cases}
            options={CASES}
            onChange={(chosen) => change({ cases: chosen, beside: besideOf(chosen) })}
          />
          <div>
            <button type="button" class="first" disabled={busy} onClick={start}>
              Run the benchmark
            </button>
          </div>
          <Progress work={bench.work} stop={bench.stop} label="The benchmark" />
        </fieldset>
        <Choice label="Shown as" value={settings.measure} options={MEASURES} onChange={(measure) => change({ measure })} />
        <DeviceReport />
      </div>
      <div class="found">
        <Results found={found} measure={settings.measure} />
        <div class="row">
          <Copy label="Copy as code" text={() => programOf(settings)} />
          {(found?.result || contest?.version) && (
            <Copy label="Copy as JSON" text={() => JSON.stringify(exported(found ?? {}, contest), null, 2)} />
          )}
        </div>
        <Beside found={found} settings={settings} change={change} />
        <Contest
          settings={settings}
          cases={chosenCases(settings.cases)}
          found={contest}
          setFound={(next) => keepContest(() => next)}
          work={other}
          busy={bench.work.busy}
        />
      </div>
    </div>
  );
}
