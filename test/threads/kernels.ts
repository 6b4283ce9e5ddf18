import asc from 'assemblyscript/asc';

/**
 * Kernels that tests can count on. A job block is six words: pointer of the cells (two words per tile), nonce, loops, the tile that traps,
 * the caller's scratch, pointer of a flag.
 */
const source = `
const CELLS = 0, NONCE = 4, LOOPS = 8, TRAP_TILE = 12, SCRATCH = 16, FLAG = 20;

function cell(job: usize, tile: u32): usize { return load<u32>(job, CELLS) + tile * 8; }

// Adds one to the tile's count, notes the job's nonce, and traps if anybody else writes to this thread's scratch meanwhile.
export function count(job: usize, tile: u32, scratch: usize): void {
  const at = cell(job, tile);
  store<u32>(scratch, tile);
  store<u32>(at, load<u32>(at) + 1);
  store<u32>(at, load<u32>(job, NONCE), 4);
  for (let i: u32 = 0, n = load<u32>(job, LOOPS); i < n; i++) if (load<u32>(scratch) != tile) unreachable();
  if (load<u32>(scratch) != tile) unreachable();
}

// Pure arithmetic, LOOPS steps of it.
export function compute(job: usize, tile: u32, scratch: usize): void {
  let x: u32 = tile + 1;
  for (let i: u32 = 0, n = load<u32>(job, LOOPS); i < n; i++) x = x * 1664525 + 1013904223;
  store<u32>(cell(job, tile), x);
}

export function nothing(job: usize, tile: u32, scratch: usize): void {}

// Counts like the first, and traps in one tile.
export function trap(job: usize, tile: u32, scratch: usize): void {
  if (tile == load<u32>(job, TRAP_TILE)) unreachable();
  count(job, tile, scratch);
}

// Traps on every thread but the caller's, which turns until that has come to pass.
export function trapOnWorker(job: usize, tile: u32, scratch: usize): void {
  const flag: usize = load<u32>(job, FLAG);
  if (scratch == load<u32>(job, SCRATCH)) return untilSet(flag);
  store<u32>(flag, 1);
  unreachable();
}

// Never ends on a worker; on the caller it turns until a worker has come.
export function hangOnWorker(job: usize, tile: u32, scratch: usize): void {
  const flag: usize = load<u32>(job, FLAG);
  if (scratch == load<u32>(job, SCRATCH)) return untilSet(flag);
  store<u32>(flag, 1);
  for (;;) store<u32>(scratch, load<u32>(scratch) + 1);
}

// On a worker LOOPS steps that write to scratch; on the caller it turns until a worker has come.
export function slowOnWorker(job: usize, tile: i32, scratch: usize): void {
  const flag: usize = load<u32>(job, FLAG);
  if (scratch == load<u32>(job, SCRATCH)) return untilSet(flag);
  store<u32>(flag, 1);
  for (let i: u32 = 0, n = load<u32>(job, LOOPS); i < n; i++) store<u32>(scratch, load<u32>(scratch) + 1);
}

// On a worker a tile that takes until somebody stores 2 in the flag; on the caller it turns until a worker has come.
export function holdOnWorker(job: usize, tile: i32, scratch: usize): void {
  const flag: usize = load<u32>(job, FLAG);
  if (scratch == load<u32>(job, SCRATCH)) return untilSet(flag);
  atomic.store<u32>(flag, 1);
  while (atomic.load<u32>(flag) != 2) {}
}

// The caller's tiles wait until a worker has done one.
export function untilWorker(job: usize, tile: i32, scratch: usize): void {
  const flag: usize = load<u32>(job, FLAG);
  if (scratch == load<u32>(job, SCRATCH)) return untilSet(flag);
  store<u32>(flag, 1);
}

// A tile of many steps, which must come in order and find in scratch what the step before left; counts them.
export function countSteps(job: usize, tile: i32, scratch: usize, step: i32): void {
  if (step > 0 && load<i32>(scratch, 4) != tile * 65536 + step - 1) unreachable();
  store<i32>(scratch, tile * 65536 + step, 4);
  const at = cell(job, tile);
  store<u32>(at, load<u32>(at) + 1);
  let x: u32 = 1;
  for (let i: u32 = 0, n = load<u32>(job, LOOPS); i < n; i++) x = x * 1664525 + 1013904223;
  store<u32>(scratch, x);
}

function untilSet(flag: usize): void {
  for (let i: u32 = 0; i < 2000000000 && atomic.load<u32>(flag) == 0; i++) {}
}
`;

/**
 * A module of its own, whose kernel takes part in a chain of stages. A job block is eight words: pointer and number of what the stage before
 * wrote, pointer of what this one writes, loops, steps, the tile that traps, the caller's scratch or 0, pointer of a flag.
 */
const chainSource = `
const FROM = 0, COUNT = 4, TO = 8, LOOPS = 12, STEPS = 16, TRAP_TILE = 20, SCRATCH = 24, FLAG = 28;

// A number that depends on all that the stage before wrote, on the tile, and on every step, which scratch holds in between.
export function chain(job: usize, tile: u32, scratch: usize, step: u32): void {
  if (step == 0) {
    let x: u32 = tile + 1;
    const from: usize = load<u32>(job, FROM);
    for (let i: u32 = 0, n = load<u32>(job, COUNT); i < n; i++) x = (x ^ load<u32>(from + i * 4)) * 16777619;
    store<u32>(scratch, x);
  }
  if (tile == load<u32>(job, TRAP_TILE)) unreachable();
  let x = load<u32>(scratch);
  for (let i: u32 = 0, n = load<u32>(job, LOOPS); i < n; i++) x = x * 1664525 + 1013904223;
  store<u32>(scratch, x * 1664525 + 1013904223);
  if (step + 1 == load<u32>(job, STEPS)) store<u32>(load<u32>(job, TO) + tile * 4, load<u32>(scratch));
}

// On the caller a tile that takes until a worker has come to one, which has the same chain.
export function chainOnWorker(job: usize, tile: u32, scratch: usize, step: u32): void {
  const flag: usize = load<u32>(job, FLAG);
  if (scratch == load<u32>(job, SCRATCH)) for (let i: u32 = 0; i < 2000000000 && atomic.load<u32>(flag) == 0; i++) {}
  else atomic.store<u32>(flag, 1);
  chain(job, tile, scratch, step);
}
`;

const options = {
  runtime: 'stub',
  importMemory: true,
  noExportMemory: true,
  sharedMemory: true,
  maximumMemory: 65536,
  enable: ['threads'],
  optimizeLevel: 3,
  noAssert: true,
};

async function compile(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const { error, binary, stderr } = await asc.compileString({ 'kernels.ts': text }, options as never);
  if (error ?? !binary) throw error ?? new Error(stderr.toString());
  return new Uint8Array(binary as Uint8Array);
}

/** The module's bytes; it imports a shared memory. */
export const compileKernels = (): Promise<Uint8Array<ArrayBuffer>> => compile(source);

/** Those of the chain. */
export const compileChain = (): Promise<Uint8Array<ArrayBuffer>> => compile(chainSource);

/** The same in base64, to hand to another process or a page. */
export async function kernelsBase64(): Promise<string> {
  return Buffer.from(await compileKernels()).toString('base64');
}

export async function chainBase64(): Promise<string> {
  return Buffer.from(await compileChain()).toString('base64');
}
