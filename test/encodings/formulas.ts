/** What the formulas of several schemes have in common, written apart from the library. */

/** T5's bucket of the offset key − query, by thresholds: the bucket is exact + t from the least d with (d/m)^N ≥ (M/m)^t on, in whole numbers. */
export function bucketTable(buckets: number, maxDistance: number, bidirectional: boolean, reach: number): (offset: number) => number {
  const n = bidirectional ? Math.floor(buckets / 2) : buckets;
  const exact = Math.floor(n / 2);
  const [m, M, N] = [BigInt(exact), BigInt(maxDistance), n - exact];
  const far = new Int32Array(reach + 1);
  let t = 0;
  for (let d = 0; d <= reach; d++) {
    // d^N · m^t ≥ M^t · m^N says the same without a division.
    while (d >= exact && t + 1 < N && BigInt(d) ** BigInt(N) * m ** BigInt(t + 1) >= M ** BigInt(t + 1) * m ** BigInt(N)) t++;
    far[d] = d < exact ? d : exact + t;
  }
  return (offset) => {
    const distance = bidirectional ? Math.abs(offset) : Math.max(-offset, 0);
    return (bidirectional && offset > 0 ? n : 0) + (far[Math.min(distance, reach)] as number);
  };
}

/** Row and column of a cell of a grid that is scanned row by row. */
export const cell = (n: number, columns: number): [number, number] => [Math.floor(n / columns), n % columns];
