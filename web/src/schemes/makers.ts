// The makers of numbers.ts as text, for the programs that the page gives out.
import makersText from './numbers.ts?raw';

/** The functions of numbers.ts by their names, with their comments. */
const makers: ReadonlyMap<string, string> = new Map(
  makersText
    .split(/\n(?=\/\*\*)/)
    .map((part) => part.trim())
    .flatMap((part): (readonly [string, string])[] => {
      const name = /export function (\w+)/.exec(part)?.[1];
      return name ? [[name, part.replace('export function', 'function')]] : [];
    }),
);

/** The makers that are needed, and those that these call, as they stand in numbers.ts. */
export function makersFor(names: Iterable<string>): string[] {
  const needed = new Set<string>();
  const add = (name: string): void => {
    const text = makers.get(name);
    if (!text || needed.has(name)) return;
    needed.add(name);
    for (const other of makers.keys()) if (other !== name && new RegExp(`\\b${other}\\(`).test(text)) add(other);
  };
  for (const name of names) add(name);
  return [...makers].filter(([name]) => needed.has(name)).map(([, text]) => text);
}
