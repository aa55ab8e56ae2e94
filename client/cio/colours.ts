/** Codes of terminal colours (ECMA-48, "SGR"). */
export const RED = '31';
export const GREEN = '32';
export const YELLOW = '33';
export const GREY = '90';

/** Colours a text, if colours are wanted. */
export function paint(text: string, colour: string, isColoured: boolean): string {
  return isColoured ? `\u001b[${colour}m${text}\u001b[0m` : text;
}
