import { spawn } from 'node:child_process';

/**
 * Runs `life.ts` with a tile of `seconds` seconds, in whose middle the process is stopped for `stopped` seconds and goes on. Resolves to
 * what it printed.
 */
export function held(command: string, args: readonly string[], seconds: number, stopped: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args, String(seconds)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    let timer: NodeJS.Timeout | undefined;
    child.stdout.on('data', (data) => {
      printed += data;
      if (timer) return;
      timer = setTimeout(() => {
        child.kill('SIGSTOP');
        setTimeout(() => child.kill('SIGCONT'), 1000 * stopped);
      }, 500);
    });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve(printed.trim()) : reject(new Error(`exit code ${code} after "${printed}"`))));
  });
}
