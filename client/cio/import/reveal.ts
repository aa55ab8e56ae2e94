import { createDecipheriv } from 'node:crypto';

/** The key that is built into every rclone (fs/config/obscure/obscure.go): it only hides a password from onlookers. */
const KEY = Buffer.from('9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638', 'hex');

const IV_BYTES = 16;

/** Reverses `rclone obscure`; returns undefined for a text that it cannot have produced. */
export function revealRclone(obscured: string): string | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(obscured)) return undefined;
  const bytes = Buffer.from(obscured, 'base64url');
  if (bytes.length < IV_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-ctr', KEY, bytes.subarray(0, IV_BYTES));
  const plain = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES)), decipher.final()]);
  try {
    // There is no authentication tag: only a result that is not text shows that rclone did not obscure it.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  } finally {
    plain.fill(0);
  }
}
