/** Formats the mode of a file as chmod(1) takes it: `0600`. */
export function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`;
}
