import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface SliderProps {
  /** The paper's letter, and what it is: "θ, base". */
  readonly label: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
  readonly step?: number;
  /** The slider moves by equal factors: for what spans powers of ten. Values are rounded to `step`. */
  readonly logarithmic?: boolean;
  /** The value as people read it. */
  readonly show?: (value: number) => string;
  readonly onChange: (value: number) => void;
}

const NOTCHES = 1000;

/** A number between two others. */
export function Slider({ label, value, least, most, step = 1, logarithmic = false, show = String, onChange }: SliderProps) {
  const id = useId();
  const round = (x: number): number => Math.min(most, Math.max(least, Number((Math.round(x / step) * step).toPrecision(12))));
  const notch = logarithmic ? (NOTCHES * Math.log(value / least)) / Math.log(most / least) : value;
  const valueAt = (at: number): number => round(logarithmic ? least * (most / least) ** (at / NOTCHES) : at);
  return (
    <div class="slider">
      <label for={id}>{label}</label>
      <output for={id} class="number">
        {show(value)}
      </output>
      <input
        id={id}
        type="range"
        min={logarithmic ? 0 : least}
        max={logarithmic ? NOTCHES : most}
        step={logarithmic ? 1 : step}
        value={notch}
        aria-valuetext={show(value)}
        onInput={(event) => onChange(valueAt(event.currentTarget.valueAsNumber))}
      />
    </div>
  );
}

interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly value: T;
  /** Values and what they are called. */
  readonly options: readonly (readonly [T, string])[];
  readonly onChange: (value: T) => void;
}

/** One of some words. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  const id = useId();
  return (
    <div class="row">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(([one, name]) => (
          <option key={one} value={one}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}

interface ToggleProps {
  readonly label: ComponentChildren;
  readonly checked: boolean;
  readonly disabled?: boolean;
  readonly onChange: (checked: boolean) => void;
}

/** Yes or no. */
export function Toggle({ label, checked, disabled = false, onChange }: ToggleProps) {
  return (
    <label class="toggle">
      <input type="checkbox" checked={checked} disabled={disabled} onChange={(event) => onChange(event.currentTarget.checked)} /> {label}
    </label>
  );
}
