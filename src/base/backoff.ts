/** A pause in ms before trying again: `firstMs` after the first failure, doubled with each further one, at most `maxMs`. */
export function backoffMs(failures: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.max(0, failures - 1))
}
