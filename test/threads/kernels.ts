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

/** The module's bytes; it imports a shared memory. */
export async function compileKernels(): Promise<Uint8Array<ArrayBuffer>> {
  const { error, binary, stderr } = await asc.compileString({ 'kernels.ts': source }, options as never);
  if (error ?? !binary) throw error ?? new Error(stderr.toString());
  return new Uint8Array(binary as Uint8Array);
}

/** The same in base64, to hand to another process or a page. */
export async function kernelsBase64(): Promise<string> {
  return Buffer.from(await compileKernels()).toString('base64');
}
