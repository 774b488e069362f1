import type { Readable } from 'node:stream';

/** Longer lines are cut into pieces: a program gone wrong must not fill our memory. */
const maxLineLength = 65_536;

/** Calls back with each line, the last unfinished one at the end. */
export function splitLines(stream: Readable, onLine: (line: string) => void): void {
  let partial = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (partial + text).split('\n');
    partial = lines.pop() ?? '';
    for (const line of lines) if (line) onLine(line.slice(0, maxLineLength));
    while (partial.length > maxLineLength) {
      onLine(partial.slice(0, maxLineLength));
      partial = partial.slice(maxLineLength);
    }
  });
  stream.on('end', () => {
    if (partial) onLine(partial);
    partial = '';
  });
}
