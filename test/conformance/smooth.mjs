/** Whether a page that draws so often during a call looks alive to people. */
export const smooth = ({ perSecond, longestGapMs }) => perSecond >= 50 && longestGapMs < 60;
