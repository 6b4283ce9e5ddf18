import { useMemo } from 'preact/hooks';
import { useSettings } from '../../address.ts';
import { useKept } from '../../kept.ts';
import { Choice, Toggle } from '../../ui/controls.tsx';
import { Copy } from '../../ui/copy.tsx';
import { Progress } from '../../ui/work.tsx';
import { ByLength, ByPosition } from './charts.tsx';
import { program } from './code.ts';
import { LossTable } from './loss-table.tsx';
import { sentences } from './say.ts';
import { SCHEME_NAMES, SCHEMES, type SchemeName, TRAINED, WINDOWS, type WindowLength } from './schemes.ts';
import './style.css';
import { bytesOf, fitting, MOST, PART, readSettings, type Settings, type Source, writeSettings } from './texts.ts';
import { useLosses } from './use-losses.ts';

const SOURCES: readonly (readonly [Source, string])[] = [
  ['part', `held-out, the first ${(PART - 1).toLocaleString('en')} bytes`],
  ['all', 'held-out, all 20,000 bytes'],
  ['own', 'your own'],
];

/** The list with one of its members, or without, in the order of all. */
const toggled = <T,>(all: readonly T[], chosen: readonly T[], one: T, on: boolean): T[] =>
  all.filter((other) => (other === one ? on : chosen.includes(other)));

export default function Length() {
  const [settings, set] = useSettings('length', readSettings, writeSettings);
  const [own = '', keepOwn] = useKept<string>('own text');
  const { schemes, windows, source } = settings;
  const { data, failure, results, work, run, stop, missing } = useLosses(settings, own);
  const text = useMemo(() => data && bytesOf(source, data.text, own), [data, source, own]);
  const read = text ? fitting(windows, text) : windows;
  const shown = { results, schemes, windows: read };
  const said = useMemo(() => sentences(shown), [results, schemes, windows, text]);
  return (
    <>
      <p class="lead">
        Six small models, alike but for their positions, learnt the King James Bible in windows of {TRAINED} bytes. Here they read longer
        ones. The loss says how surprised they are by the next byte: a scheme that carries over keeps its level, one that does not climbs.
      </p>
      <div class="sides">
        <div class="controls">
          <Chosen settings={settings} set={set} />
          <Choice label="Text" value={source} options={SOURCES} onChange={(next) => set({ ...settings, source: next })} />
          {source === 'own' && <OwnText own={own} setOwn={(text) => keepOwn(() => text)} bytes={text?.length ?? 0} windows={windows} />}
          <div class="row">
            <button type="button" class="first" onClick={run} disabled={work.busy || missing === 0}>
              Compute
            </button>
            {!work.busy && missing === 0 && results.size > 0 && <span class="quiet">All that is chosen is computed.</span>}
          </div>
          <Progress work={work} stop={stop} label="Losses" />
          {failure && <p role="alert">{failure}</p>}
        </div>
        <div class="pictures">
          <ByLength shown={shown} />
          {said.length > 0 && (
            <ul class="wide said">
              {said.map((one) => (
                <li key={one}>{one}</li>
              ))}
            </ul>
          )}
          <ByPosition shown={shown} at={settings.at} choose={(at: WindowLength) => set({ ...settings, at })} />
          <LossTable shown={shown} known={source === 'own' ? undefined : data?.known} whole={source === 'all'} />
          <p class="wide quiet">
            One seed, models of 164,000 weights, one book: differences under 0.02 nats a byte mean nothing. A scheme counts as failed where
            it has risen by more than that and two standard errors. Longer windows have fewer first bytes, which nothing stands before, so
            what holds its level falls a little. Heads of 16 channels trained on {TRAINED} bytes are a harsh case, above all for YaRN, which
            leaves only the fastest of their channels as it is.
          </p>
          <div class="wide">
            <Copy label="Copy as code" text={() => program(settings, new URL('models/positions/', document.baseURI).href)} />
          </div>
        </div>
      </div>
    </>
  );
}

interface ChosenProps {
  readonly settings: Settings;
  readonly set: (settings: Settings) => void;
}

function Chosen({ settings, set }: ChosenProps) {
  const { schemes, windows } = settings;
  return (
    <>
      <fieldset class="schemes">
        <legend>Schemes</legend>
        {SCHEME_NAMES.map((scheme: SchemeName, n) => (
          <div key={scheme} class="scheme">
            <span class="swatch" style={{ background: `var(--series-${n + 1})` }} />
            <Toggle
              label={SCHEMES[scheme].title}
              checked={schemes.includes(scheme)}
              onChange={(on) => set({ ...settings, schemes: toggled(SCHEME_NAMES, schemes, scheme, on) })}
            />
            <span class="quiet">{SCHEMES[scheme].about}</span>
          </div>
        ))}
      </fieldset>
      <fieldset>
        <legend>Windows, in bytes</legend>
        <div class="row">
          {WINDOWS.map((window) => (
            <Toggle
              key={window}
              label={window.toLocaleString('en')}
              checked={windows.includes(window)}
              onChange={(on) => set({ ...settings, windows: toggled(WINDOWS, windows, window, on) })}
            />
          ))}
        </div>
      </fieldset>
    </>
  );
}

interface OwnTextProps {
  readonly own: string;
  readonly setOwn: (own: string) => void;
  readonly bytes: number;
  readonly windows: readonly WindowLength[];
}

/** The visitor's text, and what of it is read. */
function OwnText({ own, setOwn, bytes, windows }: OwnTextProps) {
  const least = Math.min(...windows);
  const most = Math.max(...windows);
  const words = `${bytes.toLocaleString('en')} bytes${bytes === MOST ? ', and no more are read' : ''}.`;
  return (
    <div>
      <label for="own-text">Your text</label>
      <textarea id="own-text" rows={6} dir="auto" value={own} onInput={({ currentTarget }) => setOwn(currentTarget.value)} />
      {windows.length > 0 && bytes <= least && own !== '' ? (
        <p role="alert">
          {words} A window of {least.toLocaleString('en')} needs {(least + 1).toLocaleString('en')}.
        </p>
      ) : (
        <p class="quiet">
          {own === '' && windows.length > 0
            ? `At least ${(least + 1).toLocaleString('en')} bytes; English like the Bible’s is what the models know.`
            : words}
          {own !== '' &&
            windows.length > 0 &&
            bytes <= most &&
            ` Windows of ${most.toLocaleString('en')} need ${(most + 1).toLocaleString('en')}.`}{' '}
          It is not kept in the address.
        </p>
      )}
    </div>
  );
}
