interface BarProps {
  readonly value: number;
  readonly most: number;
  readonly own?: boolean;
}

/** A length beside its number, which stands in the cell before it. */
export function Bar({ value, most, own = false }: BarProps) {
  return (
    <span class="track" aria-hidden="true">
      <span class={own ? 'bar own' : 'bar'} style={{ width: `${most > 0 ? (100 * value) / most : 0}%` }} />
    </span>
  );
}
