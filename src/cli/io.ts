import { quote } from './text.ts';

/** What a command may touch of its process. */
export interface CliIo {
  stdout(text: string): unknown;
  stderr(text: string): unknown;
  /** What comes in, for the commands that read it. */
  readonly stdin?: () => AsyncIterable<string | Uint8Array>;
  /** Whether stderr is a terminal: progress is drawn only there. */
  readonly isTTY: boolean;
  /** Aborted when the user interrupts. */
  readonly signal: AbortSignal;
}

/** The process's exit codes. */
export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const;

/** The command line or an input is wrong: one line for the user, exit code 2. */
export class InputError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'InputError';
  }
}

/** A path or name as the user gave it; in quotes if it holds anything but plain characters. */
export function shownPath(path: string): string {
  return /^[\w./\\:@%+=~-]+$/.test(path) ? path : quote(path);
}

/** The engine's logger here: what it would warn of, fewer threads than asked for, is in the report. */
export const SILENT: { readonly warn: (text: string) => void } = { warn: () => {} };

/** One line on a terminal that is drawn over until it is cleared. */
export interface Progress {
  update(done: number, total: number): void;
  clear(): void;
}

/**
 * A progress line on stderr: nothing unless stderr is a terminal and the work takes longer than `delay` milliseconds.
 *
 * @param label what is being done.
 * @param now the clock, in milliseconds.
 */
export function progressLine(io: CliIo, label: string, delay = 300, now: () => number = () => performance.now()): Progress {
  if (!io.isTTY) return { update: () => {}, clear: () => {} };
  const started = now();
  let drawn = -1;
  return {
    update(done, total) {
      const percent = total > 0 ? Math.floor((100 * done) / total) : 0;
      if (percent === drawn || now() - started < delay) return;
      drawn = percent;
      io.stderr(`\r\x1b[K${label} ${percent} %`);
    },
    clear() {
      if (drawn >= 0) io.stderr('\r\x1b[K');
      drawn = -1;
    },
  };
}
