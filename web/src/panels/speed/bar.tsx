interface BarProps {
  /** The number as people read it. */
  readonly text: string;
  readonly value: number;
  readonly most: number;
  readonly own?: boolean;
}

/** A number and its length; under one another where there is no room. */
export function Bar({ text, value, most, own = false }: BarProps) {
  return (
    <span class="measured">
      <span class="number">{text}</span>
      <span class="track" aria-hidden="true">
        <span class={own ? 'bar own' : 'bar'} style={{ width: `${most > 0 ? (100 * value) / most : 0}%` }} />
      </span>
    </span>
  );
}
