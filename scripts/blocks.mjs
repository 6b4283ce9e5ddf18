// The layout of the kernels' parameter blocks, from their description (assembly/blocks.txt) to constants in either language.

/** Bytes of a field and what its offset is a multiple of. */
const TYPES = {
  i32: { size: 4, align: 4 },
  f32: { size: 4, align: 4 },
  pointer: { size: 4, align: 4 },
  f64: { size: 8, align: 8 },
  v128: { size: 16, align: 16 },
};

const up = (n, multiple) => Math.ceil(n / multiple) * multiple;

/** A line without its comment, and that. */
function parts(line) {
  const at = line.indexOf('//');
  return at < 0 ? [line.trim(), ''] : [line.slice(0, at).trim(), line.slice(at)];
}

/**
 * Reads a description. Every line is a constant `NAME = expression of numbers and constants above`, the start of a block
 * `block type SIZE_NAME`, a field `NAME type`, a comment, or empty.
 *
 * @returns the lines as they came, each with the constant that it defines, if any: { name, value, comment }
 * @param file what errors call the description
 * @throws Error that names the line if it is none of these, a name occurs twice or a type is unknown
 */
export function layOut(text, file = 'assembly/blocks.txt') {
  const types = new Map(Object.entries(TYPES));
  const values = new Map();
  const lines = [];
  let block;
  const define = (name, value, comment) => {
    if (values.has(name)) throw new Error(`"${name}" is there already`);
    values.set(name, value);
    lines.push({ name, value, comment });
  };
  const close = () => {
    if (!block) return;
    const size = up(block.size, block.align);
    types.set(block.type, { size, align: block.align });
    // Before the empty lines and comments that belong to what comes next.
    let end = lines.length;
    while (lines[end - 1].name === undefined) end--;
    const rest = lines.splice(end);
    define(block.sizeName, size, '');
    lines.push(...rest);
  };
  const read = (code, comment) => {
    const [, constant, expression] = /^(\w+) = ([\w\s()*+-]+)$/.exec(code) ?? [];
    if (constant) {
      const number = expression.replace(/[A-Z]\w*/g, (name) => {
        if (!values.has(name)) throw new Error(`"${name}" is not known yet`);
        return values.get(name);
      });
      const value = Number(Function(`'use strict'; return ${number};`)());
      if (!Number.isInteger(value)) throw new Error(`${value} is no integer`);
      return define(constant, value, comment);
    }
    const [, started, sizeName] = /^block (\w+) (\w+)$/.exec(code) ?? [];
    if (started) {
      close();
      block = { type: started, sizeName, size: 0, align: 4 };
      return lines.push({ comment });
    }
    const [, name, typeName] = /^(\w+) (\w+)$/.exec(code) ?? [];
    const type = types.get(typeName);
    if (!block || !type) throw new Error('expected "NAME = number", "block type SIZE" or "NAME type" in a block');
    const at = up(block.size, type.align);
    block.size = at + type.size;
    block.align = Math.max(block.align, type.align);
    return define(name, at, comment);
  };
  text.split('\n').forEach((line, n) => {
    const [code, comment] = parts(line);
    try {
      if (code) read(code, comment);
      else lines.push({ comment });
    } catch (error) {
      throw new Error(`${file}, line ${n + 1}, ${line.trim()}: ${error.message}`);
    }
  });
  close();
  return lines;
}

/** The constants as source text: `integer` is the language's name for their type. */
export function blockSource(lines, integer) {
  const shown = lines.map(({ name, value, comment }) => {
    if (name === undefined) return comment;
    return `export const ${name}: ${integer} = ${value};${comment && ` ${comment}`}`;
  });
  return `${shown.join('\n').trim()}\n`;
}
