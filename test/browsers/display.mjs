// An X display in memory, for a browser that cannot do without a window.
import { start, within } from './processes.mjs';

const START_MS = 20_000;

/** Starts Xvfb, which chooses the display's number and says it once it listens. */
export async function startDisplay() {
  const args = ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp', '-noreset'];
  const { child, failed, kill } = start('Xvfb', args, { line: 3 });
  try {
    const number = new Promise((resolve) => child.stdio[3].once('data', resolve));
    return { display: `:${String(await within(START_MS, 'the start of Xvfb', Promise.race([number, failed]))).trim()}`, stop: kill };
  } catch (error) {
    kill();
    throw error;
  }
}
