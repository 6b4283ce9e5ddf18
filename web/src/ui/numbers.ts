/** Three digits, as people read them: 0.00123, 1.50, 123,456, 1.2e-7; a minus sign that is one. */
export function three(x: number): string {
  if (Number.isNaN(x)) return 'NaN';
  const sign = x < 0 ? '−' : '';
  const size = Math.abs(x);
  if (size === Number.POSITIVE_INFINITY) return `${sign}∞`;
  if (size === 0) return '0';
  if (size < 1e-3 || size >= 1e7) return sign + size.toExponential(2).replace('e+', 'e').replace('e-', 'e−');
  if (size >= 1000) return sign + Math.round(size).toLocaleString('en');
  return sign + size.toPrecision(3);
}
