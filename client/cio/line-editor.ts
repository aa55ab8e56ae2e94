/** How the input of a line ended. */
export type LineEnd =
  | { readonly kind: 'line'; readonly text: string }
  /** Ctrl-C. */
  | { readonly kind: 'interrupt' }
  /** Ctrl-D on an empty line. */
  | { readonly kind: 'end' };

/** A line of input, edited by the keys of a terminal in raw mode. */
export class LineEditor {
  readonly #lengthMax: number;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #characters: string[] = [];
  #escape: '' | 'start' | 'sequence' = '';
  /** Characters that were typed or pasted after the end of the line; they answer the next question. */
  #ahead = '';

  /** @param lengthMax longest line in characters; more are ignored */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  /** The line so far, for a terminal that shows it. */
  get text(): string {
    return this.#characters.join('');
  }

  /** Takes keys, as bytes in UTF-8. Returns undefined until the line has ended. */
  push(bytes: Uint8Array): LineEnd | undefined {
    return this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** Begins the next line with what was typed ahead. */
  begin(): LineEnd | undefined {
    this.#characters = [];
    const ahead = this.#ahead;
    this.#ahead = '';
    return this.#take(ahead);
  }

  /** Drops what was typed ahead. */
  forget(): void {
    this.#ahead = '';
  }

  #take(keys: string): LineEnd | undefined {
    const characters = Array.from(keys);
    for (const [index, character] of characters.entries()) {
      const end = this.#key(character);
      if (end === undefined) continue;
      // A terminal sends CR for Enter; pasted text can have CR LF.
      const isCrLf = character === '\r' && characters[index + 1] === '\n';
      this.#ahead = characters.slice(index + (isCrLf ? 2 : 1)).join('');
      return end;
    }
    return undefined;
  }

  #key(character: string): LineEnd | undefined {
    if (this.#escape !== '') {
      this.#skipEscape(character);
      return undefined;
    }
    switch (character) {
      case '\r':
      case '\n':
        return { kind: 'line', text: this.text };
      case '\u0003':
        return { kind: 'interrupt' };
      case '\u0004':
        return this.#characters.length === 0 ? { kind: 'end' } : undefined;
      case '\u007f':
      case '\b':
        this.#characters.pop();
        return undefined;
      case '\u0015':
        this.#characters = [];
        return undefined;
      case '\u001b':
        this.#escape = 'start';
        return undefined;
      default:
        this.#insert(character);
        return undefined;
    }
  }

  /**
   * Skips the sequences of arrow and function keys: ESC [ … letter, or ESC and one character (ECMA-48); on the Linux
   * console, ESC [ [ and a letter.
   */
  #skipEscape(character: string): void {
    const opens = this.#escape === 'start' && (character === '[' || character === 'O');
    const continues = this.#escape === 'sequence' && /[\x20-\x3f[]/.test(character);
    this.#escape = opens || continues ? 'sequence' : '';
  }

  #insert(character: string): void {
    const isControl = character < ' ' && character !== '\t';
    if (!isControl && this.#characters.length < this.#lengthMax) this.#characters.push(character);
  }
}
