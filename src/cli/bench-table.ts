// The table of `relpos bench`: columns of fixed width, since rows are printed as they come.

import type { BenchHost, BenchResult, BenchRow } from '../bench/index.ts';
import { digits, rows, showBytes, showTime } from './report.ts';
import { oneLine } from './text.ts';

const COLUMNS = [26, -7, -10, -8, -14, -9] as const;

/** Cells side by side: a positive width begins at the left, a negative one ends at the right. */
export function line(cells: readonly string[], widths: readonly number[]): string {
  const padded = cells.map((cell, n) => {
    const width = widths[n] ?? 0;
    return width < 0 ? cell.padStart(-width) : cell.padEnd(width);
  });
  return `${padded.join('').trimEnd()}\n`;
}

/** What is measured, and where. */
export function header(host: BenchHost, version: string): string {
  return oneLine(`relpos ${version} on ${hostText(host)}`) + '\n\n';
}

/** A host in one line. */
export function hostText({ label, context, platform, arch, cpu, cores, memory, load }: BenchHost): string {
  const machine = [platform, arch].filter(Boolean).join(' ');
  return [
    label + (context === undefined ? '' : ` (${context})`),
    machine,
    cpu,
    cores && `${cores} core${cores > 1 ? 's' : ''}`,
    memory && showBytes(memory),
    load && `load ${load.toFixed(1)}`,
  ]
    .filter(Boolean)
    .join(', ');
}

/** The head of the table. */
export function headings(): string {
  return line(['case', 'threads', 'time', '±', 'rate', 'of peak', '  bits'], COLUMNS);
}

/** One row. */
export function rowText({ case: id, threads, ms, mad, rate, unit, share, hash, failure }: BenchRow): string {
  const cells = [
    id,
    String(threads),
    ms === null ? '–' : showTime(ms),
    ms === null || mad === null ? '' : `${digits((100 * mad) / ms)} %`,
    rate === null ? '–' : `${digits(rate)} ${unit}`,
    share === null ? '–' : `${Math.round(100 * share)} %`,
    `  ${failure === undefined ? hash : 'WRONG'}`,
  ];
  return line(cells, COLUMNS);
}

/** What comes after the rows. */
export function summary({ engines, clock, peak, hash, rows: found, precision }: BenchResult): string {
  const lines: [string, string][] = [];
  for (const { asked, threads, reason } of engines) {
    if (reason !== undefined) lines.push(['threads', `${threads} (asked: ${asked}; ${reason})`]);
  }
  if (peak.mulAdd !== null) {
    const fused = peak.fused === null ? '' : `, ${digits(peak.fused)} fused`;
    const integers = peak.int16 == null ? '' : `, ${digits(peak.int16)} of 16-bit integers`;
    lines.push(['peak', `${digits(peak.mulAdd)} GFLOP/s on one thread, a product and a sum${fused}${integers}`]);
  }
  if (clock.why !== undefined) lines.push(['clock', clock.why]);
  else if (peak.why !== undefined) lines.push(['peak', peak.why]);
  if (clock.resolution >= 0.05) lines.push(['clock', `steps of ${showTime(clock.resolution)}: samples are longer for it`]);
  const count = new Set(found.map((row) => row.case)).size;
  const bits =
    precision === 'relaxed' ? 'relaxed: this host’s own' : `the same wherever these cases run${precision === 'int16' ? ' in int16' : ''}`;
  lines.push(['hash', `${hash} of ${count} case${count > 1 ? 's' : ''}, ${bits}`]);
  return `\n${rows(lines.map(([label, text]) => [label, oneLine(text)]))}`;
}
