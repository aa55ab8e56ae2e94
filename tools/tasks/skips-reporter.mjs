/** A reporter for node:test that writes one line for each skipped test, with its reason. */
export default async function* skips(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' || data.skip === undefined || data.skip === false) continue;
    const reason = typeof data.skip === 'string' && data.skip !== '' ? data.skip : 'no reason given';
    yield `${data.name}: ${reason}\n`;
  }
}
