/** Order of the dimensions of q, k, v and the output: [B, H, L, D], or [B, L, H, D] as a projection yields it. */
export type Layout = 'bhld' | 'blhd';

/** Axis of heads and of positions in a layout. */
export const axes = (layout: Layout): { head: number; row: number } => (layout === 'bhld' ? { head: 1, row: 2 } : { head: 2, row: 1 });
