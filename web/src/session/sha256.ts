const primes = [2, 3, 5, 7, 11, 13, 17, 19];

/** SHA-256 of ASCII text (FIPS 180-4). The browser's own is missing where a console is reached without TLS by a name that is not localhost. */
export function sha256(text: string): Uint8Array {
  const constants = roundConstants();
  const state = primes.map((prime) => fraction(Math.sqrt(prime)));
  const bits = text.length * 8;
  const padded = new Uint8Array(((text.length + 8) >> 6) * 64 + 64);
  for (let i = 0; i < text.length; i++) padded[i] = text.charCodeAt(i);
  padded[text.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 4, bits);
  const words = new Uint32Array(64);
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getUint32(block + i * 4);
    for (let i = 16; i < 64; i++) {
      const [w15, w2] = [words[i - 15] as number, words[i - 2] as number];
      const s0 = turned(w15, 7) ^ turned(w15, 18) ^ (w15 >>> 3);
      const s1 = turned(w2, 17) ^ turned(w2, 19) ^ (w2 >>> 10);
      words[i] = ((words[i - 16] as number) + s0 + (words[i - 7] as number) + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; i++) {
      const t1 =
        h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + (constants[i] as number) + (words[i] as number);
      const t2 = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => {
      state[i] = ((state[i] as number) + value) | 0;
    });
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((value, i) => {
    digest.setUint32(i * 4, value);
  });
  return new Uint8Array(digest.buffer);
}

const turned = (value: number, by: number) => (value >>> by) | (value << (32 - by));
/** The first 32 bits of what stands behind the point. */
const fraction = (value: number) => Math.floor((value - Math.floor(value)) * 2 ** 32) | 0;

function roundConstants(): number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < 64; candidate++) {
    let prime = true;
    for (let factor = 2; factor * factor <= candidate; factor++) if (candidate % factor === 0) prime = false;
    if (prime) found.push(fraction(Math.cbrt(candidate)));
  }
  return found;
}
