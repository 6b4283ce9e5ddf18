// CRC-32 as in zlib and PNG: reflected polynomial 0xEDB88320, started and ended with all bits set.

/** Four tables of 256: byte n of table t is what n becomes after t more bytes of zeros. Made at the first call. */
let tables: Uint32Array | undefined;

function makeTables(): Uint32Array {
  const made = new Uint32Array(1024);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    made[n] = crc;
  }
  for (let n = 256; n < 1024; n++) {
    const shorter = made[n - 256] as number;
    made[n] = (shorter >>> 8) ^ (made[shorter & 255] as number);
  }
  return made;
}

/** The checksum of some bytes, 0 … 2^32 − 1. Four bytes a step. */
export function crc32(bytes: Uint8Array): number {
  tables ??= makeTables();
  const table = tables;
  const { length } = bytes;
  let crc = 0xffffffff;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    crc ^= (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
    crc =
      (table[768 + (crc & 255)] as number) ^
      (table[512 + ((crc >>> 8) & 255)] as number) ^
      (table[256 + ((crc >>> 16) & 255)] as number) ^
      (table[crc >>> 24] as number);
  }
  for (; at < length; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 255] as number);
  return ~crc >>> 0;
}
