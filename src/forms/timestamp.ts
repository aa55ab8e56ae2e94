/**
 * A time as RFC 3339 has it, in UTC and whole seconds: not every reader takes a fraction, and Kubernetes' `metav1.Time` has
 * none.
 *
 * @param ms since 1970
 */
export function toTimestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
