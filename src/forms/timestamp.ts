/**
 * Formats a time by RFC 3339, in UTC and whole seconds: not every reader accepts fractions, and Kubernetes'
 * `metav1.Time` has none.
 *
 * @param ms milliseconds since 1970
 */
export function toTimestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
