import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { Choice, Slider } from '../ui/controls.tsx';
import { choose, descriptionOf, descriptions, groups, type Param, type SchemeChoice } from './describe.ts';
import { type InputSettings, SHARED } from './inputs.ts';

interface SchemeControlsProps {
  /** What the scheme is called among others: “Scheme”, “Second scheme”. */
  readonly label: string;
  readonly choice: SchemeChoice;
  readonly onChange: (choice: SchemeChoice) => void;
  /** More controls in the same group. */
  readonly children?: ComponentChildren;
}

/** One scheme out of all, and its parameters. */
export function SchemeControls({ label, choice, onChange, children }: SchemeControlsProps) {
  const { params, tables } = descriptionOf(choice);
  const set = (key: string, value: number | string): void => onChange({ ...choice, values: { ...choice.values, [key]: value } });
  return (
    <fieldset>
      <legend>{label}</legend>
      <SchemeChoiceList label={label} name={choice.name} onChange={(name) => onChange(choose(name))} />
      {params
        .filter(({ when }) => !when || when(choice.values))
        .map((param) => (
          <ParamControl key={`${choice.name} ${param.key}`} param={param} value={choice.values[param.key]} set={set} />
        ))}
      {tables && <p class="quiet">{tables}</p>}
      {children}
    </fieldset>
  );
}

interface SchemeChoiceListProps {
  readonly label: string;
  readonly name: string;
  readonly onChange: (name: string) => void;
}

/** The names of all schemes, in groups. */
export function SchemeChoiceList({ label, name, onChange }: SchemeChoiceListProps) {
  const id = useId();
  return (
    <>
      <label class="unseen" for={id}>
        {label}
      </label>
      <select id={id} value={name} onChange={(event) => onChange(event.currentTarget.value)}>
        {groups.map((group) => (
          <optgroup key={group} label={group}>
            {descriptions
              .filter((one) => one.group === group)
              .map((one) => (
                <option key={one.name} value={one.name}>
                  {one.title}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
    </>
  );
}

interface ParamControlProps {
  readonly param: Param;
  readonly value: number | string | undefined;
  readonly set: (key: string, value: number | string) => void;
}

function ParamControl({ param, value = param.default, set }: ParamControlProps) {
  if ('words' in param) {
    return <Choice label={param.label} value={String(value)} options={param.words} onChange={(word) => set(param.key, word)} />;
  }
  const { key, letter, label, least, most, step, logarithmic = false } = param;
  return (
    <Slider
      label={letter ? `${letter}, ${label}` : label}
      value={Number(value)}
      least={least}
      most={most}
      step={step}
      logarithmic={logarithmic}
      onChange={(x) => set(key, x)}
    />
  );
}

interface InputControlsProps {
  readonly inputs: InputSettings;
  readonly onChange: (inputs: InputSettings) => void;
}

/** What queries and keys are. */
export function InputControls({ inputs, onChange }: InputControlsProps) {
  const set = (more: Partial<InputSettings>): void => onChange({ ...inputs, ...more });
  return (
    <fieldset>
      <legend>Queries and keys</legend>
      <Choice label="All tokens share" value={inputs.shared} options={SHARED} onChange={(shared) => set({ shared })} />
      <Slider
        label="ν, how much tokens differ"
        value={inputs.spread}
        least={0}
        most={3}
        step={0.05}
        onChange={(spread) => set({ spread })}
      />
      <Slider label="size of q" value={inputs.size} least={0} most={4} step={0.05} onChange={(size) => set({ size })} />
      <Slider label="seed" value={inputs.seed} least={1} most={50} onChange={(seed) => set({ seed })} />
    </fieldset>
  );
}
