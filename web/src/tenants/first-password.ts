/** Without those that are taken for each other when read aloud or copied by hand. */
const letters = 'abcdefghjkmnpqrstuvwxyz23456789';

/** For somebody's first log-in: some 79 random bits, in groups of four. */
export function firstPassword(): string {
  // A byte above is left out, so that every letter is as likely as the others.
  const most = 256 - (256 % letters.length);
  const chosen: string[] = [];
  while (chosen.length < 16) {
    for (const byte of crypto.getRandomValues(new Uint8Array(16)))
      if (byte < most && chosen.length < 16) chosen.push(letters[byte % letters.length] as string);
  }
  return [0, 4, 8, 12].map((at) => chosen.slice(at, at + 4).join('')).join('-');
}
