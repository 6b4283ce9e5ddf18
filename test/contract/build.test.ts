/** What the build makes of the kernels' sources: the layout of parameter blocks, and repeats written out. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { blockSource, layOut } from '../../scripts/blocks.mjs';
import { unroll } from '../../scripts/unroll.mjs';

describe('parameter blocks', () => {
  const valuesOf = (text: string): Record<string, number> =>
    Object.fromEntries(layOut(text).flatMap(({ name, value }) => (name === undefined ? [] : [[name, value as number]])));

  test('fields follow one another, aligned as their types; a block within a block keeps its own alignment', () => {
    const text = ['block pair P_SIZE', 'P_A i32', 'P_B f64', 'block all ALL', 'X pointer', 'Y pair', 'Z f32', 'W v128'].join('\n');
    expect(valuesOf(text)).toEqual({ P_A: 0, P_B: 8, P_SIZE: 16, X: 0, Y: 8, Z: 24, W: 32, ALL: 48 });
  });

  test('constants are expressions of those above', () => {
    expect(valuesOf('A = 192\nB = 4 * (A + 16)\nC = 4 * A')).toEqual({ A: 192, B: 832, C: 768 });
  });

  test('comments go with what they say something about', () => {
    const lines = layOut('// All of it.\nblock one ONE\nX i32 // the first\n\n// What comes next.\nblock two TWO\nY f64');
    expect(blockSource(lines, 'i32')).toBe(
      '// All of it.\n\nexport const X: i32 = 0; // the first\nexport const ONE: i32 = 4;\n\n// What comes next.\n\nexport const Y: i32 = 0;\nexport const TWO: i32 = 8;\n',
    );
  });

  test.each([
    ['A = 1\nA = 2', 'line 2, A = 2: "A" is there already'],
    ['block b B\nX i31', 'expected "NAME = number"'],
    ['X i32', 'expected "NAME = number"'],
    ['A = B + 1', '"B" is not known yet'],
    ['A = 1 + ', 'line 1'],
  ])('refuses %j', (text, message) => {
    expect(() => layOut(text)).toThrow(message);
  });

  test('those of the kernels: what a kernel relies on', () => {
    const field = valuesOf(readFileSync(new URL('../../assembly/blocks.txt', import.meta.url), 'utf8'));
    expect(field.KEY_BLOCK).toBe(192);
    expect(field.SPLIT).toBe(768);
    expect((field.NORM_EPSILON as number) % 8).toBe(0);
    for (const size of ['A_SIZE', 'E_SIZE', 'T_SIZE', 'M_STATE', 'JOB_SIZE', 'M_SIZE']) expect((field[size] as number) % 4).toBe(0);
    expect((field.R_SIZE as number) % 16).toBe(0);
  });
});

describe('repeats', () => {
  test('one in another, names and numbers', () => {
    const source = ['a', '// repeat $n 2', 'x$n = $n * 8;', '// repeat $r 2', 's$n$ra', '// end', '// end', 'b'].join('\n');
    expect(unroll(source).split('\n')).toEqual(['a', 'x0 = 0 * 8;', 's00a', 's01a', 'x1 = 1 * 8;', 's10a', 's11a', 'b']);
  });

  test('ends and beginnings that have no other', () => {
    expect(() => unroll('// repeat $n 2\nx')).toThrow('"// repeat" without "// end"');
    expect(() => unroll('x\n// end')).toThrow('line 2: "// end" without "// repeat"');
  });
});
