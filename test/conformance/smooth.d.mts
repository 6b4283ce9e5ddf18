export interface Frames {
  readonly perSecond: number;
  readonly longestGapMs: number;
}
export function smooth(frames: Frames): boolean;
export function smoother(a: Frames, b: Frames): Frames;
