// The rows as a table of text.
const HEADER = ['tool', 'version', 'way', 'threads', 'bits', 'raw', 'gzip', 'brotli', 'relaxed file'];

function cells({ tool, version, way, threads, same, relaxed, bytes = {}, chunk }) {
  const bits = (relaxed && 'relaxed') || (same ? 'same' : 'DIFFERENT');
  return [tool, version, way, threads, bits, bytes.raw, bytes.gzip, bytes.brotli, chunk?.brotli].map((cell) => String(cell ?? ''));
}

export function table(rows) {
  const lines = [HEADER, ...rows.map(cells)];
  const widths = HEADER.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
