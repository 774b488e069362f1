/** Asks again every 200 ms until there is an answer. */
export async function untilDefined<T>(timeoutMs: number, what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`waited ${timeoutMs / 1000} s for ${what}`, { cause: last });
}
