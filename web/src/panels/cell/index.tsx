import { wrap } from 'comlink';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useSettings } from '../../address.ts';
import { Slider, Toggle } from '../../ui/controls.tsx';
import { Figure } from '../../ui/figure.tsx';
import { HeatMap } from '../../ui/heat-map.tsx';
import { useLatest } from '../../ui/latest.ts';
import type { CellApi } from './compute.ts';
import { type Light, type PartName, ProbabilityFormula, ScoreFormula } from './formula.tsx';
import { percent } from './numbers.ts';
import { readSettings, type Settings, writeSettings } from './settings.ts';
import { HalvesStep, SoftmaxSteps } from './softmax-steps.tsx';
import { BiasSteps, ContentSteps, ScoreStep, SumSteps, TermSteps } from './steps.tsx';
import type { Explanation } from './types.ts';
import './style.css';

function useWorker() {
  const [worker] = useState(() => new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' }));
  useEffect(() => () => worker.terminate(), [worker]);
  return useMemo(() => wrap<CellApi>(worker), [worker]);
}

export default function Panel() {
  const [settings, set] = useSettings('cell', readSettings, writeSettings);
  const api = useWorker();
  const change = (some: Partial<Settings>): void => set({ ...settings, ...some });
  const { L, i, j, block, halves } = settings;
  const { answer, of, failure } = useLatest(
    settings,
    JSON.stringify({ ...settings, halves: false }),
    ({ i, j, block, halves: _, ...asked }) => api.explain(asked, { i, j, block }),
  );
  const [lit, light] = useState<PartName>();
  const steps = useRef<HTMLOListElement>(null);
  const go = (part: PartName): void => {
    const step = steps.current?.querySelector<HTMLElement>(`#step-${part}`);
    step?.scrollIntoView({ block: 'nearest' });
    step?.focus({ preventScroll: true });
    light(part);
  };
  return (
    <>
      <p>
        Choose a cell, by a click or with the arrow keys: below the formula of its score and probability, with the numbers that the engine
        computes, part by part.
      </p>
      <div class="sides">
        <div class="controls">
          <fieldset>
            <legend>Call</legend>
            <Slider
              label="L, queries and keys"
              value={L}
              least={4}
              most={32}
              onChange={(L) => change({ L, i: Math.min(i, L - 1), j: Math.min(j, L - 1) })}
            />
            <Toggle label="causal" checked={settings.causal} onChange={(causal) => change({ causal })} />
            <Slider
              label="window to the left"
              value={settings.window}
              least={0}
              most={16}
              show={(n) => (n ? String(n) : 'none')}
              onChange={(window) => change({ window })}
            />
            <Slider
              label="softcap c"
              value={settings.softcap}
              least={0}
              most={50}
              step={0.5}
              show={(c) => (c ? String(c) : 'none')}
              onChange={(softcap) => change({ softcap })}
            />
            <Toggle label="a sink" checked={settings.sink !== undefined} onChange={(on) => change({ sink: on ? 0 : undefined })} />
            {settings.sink !== undefined && (
              <Slider label="the sink’s logit" value={settings.sink} least={-5} most={5} step={0.1} onChange={(sink) => change({ sink })} />
            )}
          </fieldset>
          <fieldset>
            <legend>Softmax</legend>
            <Slider label="keys of a block" value={block} least={1} most={16} onChange={(block) => change({ block })} />
            <Toggle label="the keys in two halves, merged" checked={halves} onChange={(halves) => change({ halves })} />
          </fieldset>
        </div>
        <div class="pictures">
          {failure !== undefined && <p role="alert">{failure}</p>}
          {answer && of ? (
            <>
              <Figure title={`Probabilities of head ${of.head}: choose a cell`}>
                <HeatMap
                  label={`Attention probabilities of head ${of.head}`}
                  rows={of.L}
                  columns={of.L}
                  values={answer.matrix.probabilities}
                  selected={{ i: Math.min(i, of.L - 1), j: Math.min(j, of.L - 1) }}
                  onSelect={({ i, j }) => change({ i, j })}
                  follows
                  say={({ i, j }, p) => `query ${i}, key ${j}: ${Number.isFinite(p) ? percent(p) : 'hidden'}`}
                />
              </Figure>
              <Cell cell={answer.cell} settings={of} halves={halves} steps={steps} light={{ lit, light, go }} />
            </>
          ) : (
            failure === undefined && <p role="status">Computing …</p>
          )}
        </div>
      </div>
    </>
  );
}

interface CellProps {
  readonly cell: Explanation;
  readonly settings: Settings;
  readonly halves: boolean;
  readonly steps: { current: HTMLOListElement | null };
  readonly light: Light;
}

/** The formula, and its steps. */
function Cell({ cell, settings, halves, steps, light }: CellProps) {
  return (
    <div class="wide">
      <h3>
        Query {cell.i}, key {cell.j}
      </h3>
      <ScoreFormula cell={cell} {...light} />
      <ProbabilityFormula cell={cell} {...light} />
      <ol class="steps" ref={steps}>
        <ContentSteps cell={cell} what="The scheme changes both." {...light} />
        <TermSteps cell={cell} kind="query" {...light} />
        <TermSteps cell={cell} kind="key" {...light} />
        <SumSteps cell={cell} softcap={settings.softcap || undefined} {...light} />
        <BiasSteps cell={cell} {...light} />
        <ScoreStep cell={cell} {...light} />
        <SoftmaxSteps cell={cell} {...light} />
      </ol>
      {halves && (
        <section class="halves" aria-label="Two halves">
          <h4>In two halves</h4>
          <HalvesStep halves={cell.halves} j={cell.j} />
        </section>
      )}
    </div>
  );
}
