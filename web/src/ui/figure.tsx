import type { ComponentChildren } from 'preact';

interface FigureProps {
  readonly title: ComponentChildren;
  /** All columns of the grid. */
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}

/** A picture and what it is. */
export function Figure({ title, wide = false, children }: FigureProps) {
  return (
    <figure class={wide ? 'wide' : ''}>
      <figcaption>{title}</figcaption>
      {children}
    </figure>
  );
}
