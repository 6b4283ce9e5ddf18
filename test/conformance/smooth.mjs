/** How well a page draws during a call: 1 or more looks alive to people. */
const quality = ({ perSecond, longestGapMs }) => Math.min(perSecond / 50, 60 / longestGapMs);

export const smooth = (frames) => quality(frames) >= 1;

/** The better of two measurements. */
export const smoother = (a, b) => (quality(b) > quality(a) ? b : a);
