/** The beginning of a script that makes V8 compile a function in the background. */
export const COMPILING = `
  const hot = (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += i % 3 ? n : i; return sum; };
  for (const end = performance.now() + 200; performance.now() < end; ) hot(100);
`;

/** A Node option that delays background compilation by a minute, so that waiting for it shows. */
export const SLOW_COMPILER = '--concurrent-recompilation-delay=60000';
