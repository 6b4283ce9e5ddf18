import { InputControls, SchemeControls } from '../../schemes/controls.tsx';
import { Slider, Toggle } from '../../ui/controls.tsx';
import { causalBy, ends, NO_WINDOW, type Settings, within } from './settings.ts';

interface ControlsProps {
  readonly settings: Settings;
  readonly set: (settings: Settings) => void;
}

/** The settings that a change leaves inside the call. */
const changer =
  ({ settings, set }: ControlsProps) =>
  (some: Partial<Settings>): void =>
    set(within({ ...settings, ...some }));

/** The scheme, and how its softmax is shown. */
export function SchemeSettings(props: ControlsProps) {
  const change = changer(props);
  const { scheme, block, halves } = props.settings;
  return (
    <div class="controls choose">
      <SchemeControls
        label="Scheme"
        choice={scheme}
        onChange={(next) => change({ scheme: next, ...(next.name !== scheme.name && { causal: causalBy(next) }) })}
      />
      <fieldset>
        <legend>Softmax</legend>
        <Slider label="keys of a block" value={block} {...ends('block')} onChange={(block) => change({ block })} />
        <Toggle label="the keys in two halves, merged" checked={halves} onChange={(halves) => change({ halves })} />
      </fieldset>
    </div>
  );
}

/** The call, its queries and its keys. */
export function CallSettings(props: ControlsProps) {
  const change = changer(props);
  const { inputs, H, L, S, D, head, causal, window, softcap, sink } = props.settings;
  const none = (when: boolean) => (n: number) => (when ? 'none' : String(n));
  return (
    <div class="controls more">
      <fieldset>
        <legend>Call</legend>
        <Toggle label="causal: keys that come later are hidden" checked={causal} onChange={(causal) => change({ causal })} />
        <Slider
          label="window to the left"
          value={window}
          {...ends('window')}
          show={none(window >= NO_WINDOW)}
          onChange={(window) => change({ window })}
        />
        <Slider
          label="c, softcap"
          value={softcap}
          {...ends('softcap')}
          show={none(softcap === 0)}
          onChange={(softcap) => change({ softcap })}
        />
        <Toggle label="a sink in the denominator" checked={sink !== undefined} onChange={(on) => change({ sink: on ? 0 : undefined })} />
        {sink !== undefined && (
          <Slider label="logit of the sink" value={sink} least={-10} most={10} step={0.1} onChange={(sink) => change({ sink })} />
        )}
        <Slider
          label="L, queries"
          value={L}
          {...ends('L')}
          onChange={(next) => change({ L: next, S: L === S ? next : Math.max(next, S) })}
        />
        <Slider label="S, keys" value={S} {...ends('S')} onChange={(S) => change({ S, L: Math.min(L, S) })} />
        <Slider label="H, heads" value={H} {...ends('H')} onChange={(H) => change({ H })} />
        <Slider label="h, the head that is shown" value={head} least={0} most={H - 1} onChange={(head) => change({ head })} />
        <Slider label="D, channels of a head" value={D} {...ends('D')} step={16} onChange={(D) => change({ D })} />
      </fieldset>
      <InputControls inputs={inputs} onChange={(inputs) => change({ inputs })} />
    </div>
  );
}
