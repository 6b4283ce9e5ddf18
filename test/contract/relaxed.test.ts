/** `relaxedSimd` says what runs: other bits than the reproducible ones, or the same and the reason. */
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

const root = new URL('../../dist/', import.meta.url);
const [major] = process.versions.node.split('.').map(Number) as [number];

/** What a process finds where relaxed SIMD is on: Node 20 and older have it behind a flag. */
function found(relaxedSimd: boolean): Record<string, { relaxedSimd?: boolean; reason?: string; bits?: string; error?: string }> {
  const program = `
    const { createEngine, createEngineSync } = await import('${root.href}index.js');
    const { relaxedKernels } = await import('${root.href}entries/relaxed.js');
    const { readFileSync } = process.getBuiltinModule('node:fs');
    const file = (name) => new Uint8Array(readFileSync(new URL('${root.href}wasm/' + name + '.wasm')));
    const precision = 'relaxed';
    const threads = 1;
    const makers = {
      plain: () => createEngine({ threads }),
      loaded: () => createEngine({ precision, threads }),
      threaded: () => createEngine({ precision, threads: 2 }),
      sync: () => createEngineSync({ precision, wasm: relaxedKernels() }),
      baseline: () => createEngineSync({ precision, wasm: file('baseline') }),
      relaxed: () => createEngine({ precision, threads, wasm: file('relaxed') }),
      wrong: () => createEngineSync({ wasm: file('relaxed') }),
    };
    const rows = {};
    for (const [name, make] of Object.entries(makers)) {
      try {
        const engine = await make();
        const { relaxedSimd, reason } = engine.capabilities;
        rows[name] = { relaxedSimd, reason, bits: (await engine.selfTest()).hash };
        engine.dispose();
      } catch ({ code, message }) {
        rows[name] = { error: code + ': ' + message };
      }
    }
    console.log(JSON.stringify(rows));`;
  const flags = major > 20 ? [] : ['--experimental-wasm-relaxed-simd'];
  return JSON.parse(
    execFileSync(process.execPath, [...(relaxedSimd ? flags : []), '--input-type=module', '-e', program], { encoding: 'utf8' }),
  );
}

describe('a host that fuses multiply and add', () => {
  test('runs the relaxed kernels to bits of its own, however they come, and refuses others', () => {
    const { plain, loaded, threaded, sync, baseline, relaxed, wrong } = found(true);
    expect(plain?.relaxedSimd).toBe(false);
    const own = { relaxedSimd: true, bits: loaded?.bits };
    expect({ loaded, threaded, sync, relaxed }).toEqual({ loaded: own, threaded: own, sync: own, relaxed: own });
    expect(loaded?.bits).not.toBe(plain?.bits);
    expect(baseline?.error).toMatch(/^bad-wasm: these are the baseline kernels, and precision 'relaxed' needs the relaxed ones here: pass/);
    expect(wrong?.error).toMatch(/^bad-wasm: these are the relaxed kernels, and precision 'reproducible' needs the baseline ones here/);
  });
});

describe.runIf(major === 20)('a host without relaxed SIMD', () => {
  test('runs the reproducible kernels, and says why', () => {
    const { plain, loaded, threaded, sync, baseline, relaxed, wrong } = found(false);
    expect(plain?.reason).toBe(undefined);
    const reason = 'this host does not fuse multiply and add (relaxed SIMD): the reproducible kernels run';
    const same = { relaxedSimd: false, reason, bits: plain?.bits };
    expect({ loaded, threaded, sync, baseline }).toEqual({ loaded: same, threaded: same, sync: same, baseline: same });
    for (const { error } of [relaxed, wrong] as { error: string }[]) {
      expect(error).toMatch(/^bad-wasm: the kernels do not compile: .*this host has no relaxed SIMD, which the relaxed kernels need/);
    }
  });
});
