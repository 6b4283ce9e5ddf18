// The program that runs what the panel runs.
import { runOf, type Settings } from './settings.ts';

const quoted = (text: string): string => `'${text}'`;

/** The TypeScript, and the command, of a run. @param settings what is chosen */
export function programOf(settings: Settings): string {
  const { threads, precision, quick, only } = runOf(settings);
  const options = [...(quick ? ['quick: true'] : []), ...(only === undefined ? [] : [`only: ${quoted(only)}`])];
  const words = [
    `--threads ${threads.join()}`,
    `--precision ${precision}`,
    ...(quick ? ['--quick'] : []),
    ...(only ? [`--only ${only}`] : []),
  ];
  return `// npm install relpos; the same as a command: npx relpos bench ${words.join(' ')}
import { bench } from 'relpos/bench';

const { rows } = await bench({ threads: [${threads.join(', ')}], precision: ${quoted(precision)} }${options.length ? `, { ${options.join(', ')} }` : ''});
for (const { case: id, threads, rate, unit, hash } of rows) console.log(JSON.stringify({ id, threads, rate, unit, hash }));
`;
}
