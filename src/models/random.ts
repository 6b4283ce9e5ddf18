// Random numbers that depend on a seed, a sequence and a step alone: Threefry 2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw 2011, "Parallel
// random numbers: as easy as 1, 2, 3"). A sum, a rotation and an exclusive or of 32 bits in each round, so every host has the same; a number is
// found without those before it, so a sequence of a batch, or a forked one, draws what it would draw alone.

/** Rotations of the rounds; after every four of them a key is added. */
const ROTATIONS: readonly number[] = [13, 15, 26, 6, 17, 29, 16, 24];
const PARITY = 0x1bd11bda;
const ROUNDS = 20;

/** The 64 bits that belong to a counter under a key, as two words. */
export function threefry(key: readonly [number, number], counter: readonly [number, number]): [number, number] {
  const keys = [key[0], key[1], key[0] ^ key[1] ^ PARITY] as const;
  let a = (counter[0] + keys[0]) | 0;
  let b = (counter[1] + keys[1]) | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const turn = ROTATIONS[round & 7] as number;
    a = (a + b) | 0;
    b = ((b << turn) | (b >>> (32 - turn))) ^ a;
    if ((round & 3) === 3) {
      const n = (round >> 2) + 1;
      a = (a + (keys[n % 3] as number)) | 0;
      b = (b + (keys[(n + 1) % 3] as number) + n) | 0;
    }
  }
  return [a >>> 0, b >>> 0];
}

/** A number of [0, 1) with 53 bits. `seed` is a whole number below 2^53. */
export function uniform(seed: number, sequence: number, step: number): number {
  const high = Math.floor(seed / 4294967296);
  const [a, b] = threefry([seed >>> 0, high], [step, sequence]);
  return (a * 2097152 + (b >>> 11)) / 9007199254740992;
}
