import { InputControls, SchemeControls } from '../../schemes/controls.tsx';
import { Slider, Toggle } from '../../ui/controls.tsx';
import { causalBy, ends, NO_WINDOW, type Settings, within } from './settings.ts';

interface ControlsProps {
  readonly settings: Settings;
  readonly set: (settings: Settings) => void;
}

/** All that can be set. */
export function Controls({ settings, set }: ControlsProps) {
  const change = (some: Partial<Settings>): void => set(within({ ...settings, ...some }));
  const { scheme, inputs, H, L, S, D, head, causal, window, softcap, sink, block, halves } = settings;
  const none = (when: boolean) => (n: number) => (when ? 'none' : String(n));
  return (
    <div class="controls">
      <SchemeControls
        label="Scheme"
        choice={scheme}
        onChange={(scheme) => change({ scheme, ...(scheme.name !== settings.scheme.name && { causal: causalBy(scheme) }) })}
      />
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
      <fieldset>
        <legend>Softmax</legend>
        <Slider label="keys of a block" value={block} {...ends('block')} onChange={(block) => change({ block })} />
        <Toggle label="the keys in two halves, merged" checked={halves} onChange={(halves) => change({ halves })} />
      </fieldset>
    </div>
  );
}
