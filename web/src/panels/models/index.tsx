import './style.css';
import { useMemo } from 'preact/hooks';
import { useSettings } from '../../address.ts';
import { useKept } from '../../kept.ts';
import { OWN } from './client.ts';
import { Files } from './files.tsx';
import { Looks } from './looks.tsx';
import type { Models, PartProps } from './props.ts';
import { Sentences } from './sentences.tsx';
import { PARTS, type Part, readSettings, type Settings, writeSettings } from './settings.ts';
import { Story } from './story.tsx';

const BODIES: Readonly<Record<Part, (props: PartProps) => preact.JSX.Element>> = {
  sentences: Sentences,
  words: Looks,
  story: Story,
  files: Files,
};

export default function Panel() {
  const [settings, setSettings] = useSettings('models', readSettings, writeSettings);
  const own = useMemo((): Models => ({ encoder: OWN.encoder(), decoder: OWN.decoder() }), []);
  // Models that were dropped stay while the page does.
  const [models = own, keep] = useKept<Models>('models');
  const choose = (changed: Partial<Models>): void => keep((last = own) => ({ ...last, ...changed }));
  const set = (changed: Partial<Settings>): void => setSettings({ ...settings, ...changed });
  const Body = BODIES[settings.part];
  return (
    <>
      <p class="lead">
        Small whole models, run in this page: none of what you type or drop leaves it. They are fetched once, from the page’s own files.
      </p>
      <fieldset class="parts" aria-label="Parts of this panel">
        {PARTS.map(([name, title]) => (
          <button key={name} type="button" aria-pressed={name === settings.part} onClick={() => set({ part: name })}>
            {title}
          </button>
        ))}
      </fieldset>
      <Body key={settings.part} settings={settings} set={set} models={models} choose={choose} />
    </>
  );
}
