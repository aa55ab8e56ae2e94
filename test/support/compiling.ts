/** The start of a script that has V8 compile a function beside it. */
export const COMPILING = `
  const hot = (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += i % 3 ? n : i; return sum; };
  for (const end = performance.now() + 200; performance.now() < end; ) hot(100);
`;

/** An option of Node's: what is compiled beside takes a minute, and who waits for it is seen to wait. */
export const SLOW_COMPILER = '--concurrent-recompilation-delay=60000';
