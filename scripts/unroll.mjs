// Repeats marked lines of a kernel's source with numbers in the place of names, so that an unrolled step is written once.

/**
 * Lines between `// repeat $n 8` and `// end` come eight times, with 0 … 7 for every `$n` in them, also as a part of a name: `s$na` is s0a,
 * s1a … Repeats may lie in one another.
 *
 * @throws Error if a repeat has no end, or an end no repeat
 */
export function unroll(source) {
  const lines = source.split('\n');
  let at = 0;
  const until = (end) => {
    const out = [];
    while (at < lines.length) {
      const line = lines[at++];
      const [, name, count] = /^\s*\/\/ repeat (\$\w+) (\d+)$/.exec(line) ?? [];
      if (name) {
        const body = until('a repeat');
        for (let n = 0; n < Number(count); n++) out.push(...body.map((text) => text.replaceAll(name, String(n))));
      } else if (/^\s*\/\/ end$/.test(line)) {
        if (end === undefined) throw new Error(`line ${at}: "// end" without "// repeat"`);
        return out;
      } else out.push(line);
    }
    if (end !== undefined) throw new Error(`"// repeat" without "// end"`);
    return out;
  };
  return until(undefined).join('\n');
}
