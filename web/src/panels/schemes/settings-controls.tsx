import { SchemeControls } from '../../schemes/controls.tsx';
import { choose } from '../../schemes/describe.ts';
import { Choice, Slider, Toggle } from '../../ui/controls.tsx';
import { findMistake, mistakes } from './mistakes.ts';
import { requestOf } from './request.ts';
import { MOST, NO_WINDOW, type Settings, withFirst, withSizes } from './settings.ts';

interface ControlsProps {
  readonly settings: Settings;
  readonly set: (settings: Settings) => void;
}

const VIEWS = [
  ['beside', 'side by side'],
  ['difference', 'as a difference'],
] as const;

/** The scheme, the one it is compared with, and how. */
export function Schemes({ settings, set }: ControlsProps) {
  const { first, second, view, mistake } = settings;
  const compared = second !== undefined || findMistake(mistake) !== undefined;
  return (
    <>
      <SchemeControls label="Scheme" choice={first} onChange={(choice) => set(withFirst(settings, choice))} />
      {!findMistake(mistake) && (
        <Toggle
          label="Compare with a second scheme"
          checked={second !== undefined}
          onChange={(on) => set({ ...settings, second: on ? choose(first.name === 'alibi' ? 'rotary' : 'alibi') : undefined })}
        />
      )}
      {second && !findMistake(mistake) && (
        <SchemeControls label="Second scheme" choice={second} onChange={(choice) => set({ ...settings, second: choice })} />
      )}
      {compared && <Choice label="Shown" value={view} options={VIEWS} onChange={(chosen) => set({ ...settings, view: chosen })} />}
    </>
  );
}

/** The classic mistakes, one at a time. */
export function Mistakes({ settings, set }: ControlsProps) {
  return (
    <fieldset>
      <legend>Classic mistakes</legend>
      {mistakes.map(({ name, title, start }) => (
        <Toggle
          key={name}
          label={title}
          checked={settings.mistake === name}
          onChange={(on) => set(on ? { ...start(settings), mistake: name } : { ...settings, mistake: 'none' })}
        />
      ))}
    </fieldset>
  );
}

/** What a window makes of the sizes. */
function WindowNote({ settings }: { settings: Settings }) {
  const { sizes, windows } = requestOf(settings);
  if (!windows) return null;
  const more = sizes.L - sizes.side ** 2;
  return (
    <p class="quiet">
      Here L = S = {sizes.L}: a window of {sizes.side} × {sizes.side} cells{more > 0 && ' and a class token'}.
    </p>
  );
}

/** Sizes of the call, and which keys a query sees. */
export function Call({ settings, set }: ControlsProps) {
  const { asked, head, causal, left, softcap } = settings;
  return (
    <fieldset>
      <legend>Call</legend>
      <Slider label="L, queries" value={asked.L} least={4} most={MOST} onChange={(L) => set(withSizes(settings, { L }))} />
      <Slider
        label="S, keys; queries are the last"
        value={asked.S}
        least={4}
        most={MOST}
        onChange={(S) => set(withSizes(settings, { S }))}
      />
      <WindowNote settings={settings} />
      <Slider
        label="D, channels of a head"
        value={asked.D}
        least={16}
        most={128}
        step={16}
        onChange={(D) => set(withSizes(settings, { D }))}
      />
      <Slider label="H, heads" value={asked.H} least={1} most={16} onChange={(H) => set(withSizes(settings, { H }))} />
      <Slider
        label="h, the head that is shown"
        value={head}
        least={0}
        most={Math.max(1, asked.H - 1)}
        onChange={(h) => set({ ...settings, head: Math.min(h, asked.H - 1) })}
      />
      <Toggle label="causal: keys that come later are hidden" checked={causal} onChange={(on) => set({ ...settings, causal: on })} />
      <Slider
        label="window to the left"
        value={left}
        least={0}
        most={NO_WINDOW}
        show={(x) => (x === NO_WINDOW ? 'none' : String(x))}
        onChange={(x) => set({ ...settings, left: x })}
      />
      <Slider
        label="c, softcap"
        value={softcap}
        least={0}
        most={60}
        show={(x) => (x === 0 ? 'none' : String(x))}
        onChange={(x) => set({ ...settings, softcap: x })}
      />
    </fieldset>
  );
}
