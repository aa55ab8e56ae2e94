import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { tracingOfOthers } from './requirements.ts';

/** A place where a planted secret was found; `form` is the encoding. Does not hold the secret itself. */
export interface Sighting {
  readonly secret: string;
  readonly form: string;
  readonly where: string;
}

/**
 * Secrets that a test plants and then looks for wherever they must not appear: verbatim, and in every form into which
 * programs encode text.
 */
export class Canaries {
  readonly #needles: { readonly secret: string; readonly form: string; readonly bytes: Buffer }[] = [];

  /** Makes a secret that resembles no other text, with characters that each encoding writes differently. */
  plant(name: string): string {
    return this.add(name, `${name}/"+%${randomBytes(12).toString('base64')}\\ü~${randomBytes(6).toString('hex')}`);
  }

  /** Makes a secret of letters and digits only, for use in headers. */
  plantWord(name: string): string {
    return this.add(name, `${name.replaceAll(/[^A-Za-z0-9]/g, '')}${randomBytes(16).toString('hex')}`);
  }

  /** Adds a secret to look for. */
  add<Secret extends string | Uint8Array>(name: string, secret: Secret): Secret {
    const bytes = Buffer.from(secret as Uint8Array);
    assert.ok(bytes.length >= 8, 'a secret that short is found by chance');
    for (const [form, needle] of formsOf(bytes)) this.#needles.push({ secret: name, form, bytes: needle });
    return secret;
  }

  /** Returns the planted secrets that a text or bytes contain. */
  findIn(where: string, content: string | Uint8Array): Sighting[] {
    const bytes = Buffer.from(content as Uint8Array);
    return this.#needles
      .filter((needle) => bytes.includes(needle.bytes))
      .map(({ secret, form }) => ({ secret, form, where }));
  }

  /** Returns the planted secrets in the files below a folder, or in the file names. Does not follow links. */
  findInFiles(directory: string): Sighting[] {
    return fs.readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      const inName = this.findIn(`name of ${file}`, entry.name);
      return entry.isFile() ? [...inName, ...this.findIn(file, fs.readFileSync(file))] : inName;
    });
  }

  /**
   * Returns the planted secrets in the arguments or in the environment of a running process. The environment of a process
   * that is not dumpable, such as the daemon, can be read only with CAP_SYS_PTRACE (proc(5)), and is passed over without.
   */
  findInProcess(pid: number): Sighting[] {
    return ['cmdline', 'environ'].flatMap((file) => {
      const source = `/proc/${pid}/${file}`;
      return file === 'environ' && isClosed(source) ? [] : this.findIn(source, fs.readFileSync(source));
    });
  }
}

function isClosed(file: string): boolean {
  if (tracingOfOthers() === undefined) return false;
  try {
    fs.closeSync(fs.openSync(file, 'r'));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

/** Fails if a secret was found anywhere, and names the places. */
export function assertUnseen(sightings: readonly Sighting[]): void {
  assert.deepEqual(sightings, [], 'planted secrets were found');
}

function formsOf(secret: Buffer): Map<string, Buffer> {
  const text = secret.toString('utf8');
  const json = JSON.stringify(text).slice(1, -1);
  const url = encodeURIComponent(text);
  const forms: Record<string, string> = {
    hex: secret.toString('hex'),
    HEX: secret.toString('hex').toUpperCase(),
    url,
    'url, lower case': url.replaceAll(/%../g, (escape) => escape.toLowerCase()),
    'form data': new URLSearchParams([['', text]]).toString().slice(1),
    json,
    'json, slashes escaped': json.replaceAll('/', '\\/'),
    'json, ASCII only': json.replaceAll(
      /[^\0-\x7f]/g,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  };
  const needles = new Map<string, Buffer>([
    ['clear', secret],
    ['UTF-16', Buffer.from(text, 'utf16le')],
  ]);
  for (const [form, needle] of Object.entries(forms)) needles.set(form, Buffer.from(needle));
  for (const offset of [0, 1, 2]) {
    const base64 = base64Inside(secret, offset);
    needles.set(`base64, offset ${offset}`, Buffer.from(base64));
    needles.set(`base64url, offset ${offset}`, Buffer.from(base64.replaceAll('+', '-').replaceAll('/', '_')));
  }
  return needles;
}

/**
 * Returns the part of a secret's base64 form that does not depend on the surrounding bytes, for a secret that begins
 * `offset` bytes into a group of three.
 */
function base64Inside(secret: Uint8Array, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), secret])
    .toString('base64')
    .replace(/=+$/, '');
  const fromWhole = Math.ceil((offset * 8) / 6);
  const toWhole = Math.floor(((offset + secret.length) * 8) / 6);
  return encoded.slice(fromWhole, toWhole);
}
