// How a table of facts is read. The table of all model types is long: who knows the types beforehand has lines of his own.

/** What a line of the table says; see the head of `models.ts`. */
export type Facts = Readonly<Record<string, string | undefined>>;

/** The facts of a model type in the lines of a table, or undefined if none has it. */
export function factsIn(table: string, model: string): Facts | undefined {
  for (const line of table.split('\n')) {
    const [said = '', names = ''] = line.split('|');
    if (names.split(' ').includes(model)) {
      return Object.fromEntries(
        said.split(' ').map((token) => {
          const at = token.indexOf('=');
          return at < 0 ? [token, ''] : [token.slice(0, at), token.slice(at + 1)];
        }),
      );
    }
  }
  return undefined;
}
