import { spawnSync } from 'node:child_process';
import { tarHeader, tarPadding } from './tar';

/** Name and size of each file, as tar lists them. */
function listed(archive: Buffer): { status: number | null; files: (string | undefined)[][] } {
  const { stdout, status } = spawnSync('tar', ['-tvf', '-'], { input: archive });
  const lines = String(stdout).trim().split('\n');
  return { status, files: lines.map((line) => line.split(/\s+/)).map((line) => [line.at(-1), line[2]]) };
}

it('is what tar reads, also with long names and empty files', () => {
  const long = `crops/${'a'.repeat(36)}/${'b'.repeat(90)}.jpg`;
  const files = { 'tenants.jsonl': 'one\n', [long]: 'x'.repeat(512), empty: '' };
  const parts = Object.entries(files).flatMap(([name, text]) => [tarHeader(name, text.length), Buffer.from(text), tarPadding(text.length)]);
  expect(listed(Buffer.concat([...parts, Buffer.alloc(1024)]))).toEqual({
    status: 0,
    files: Object.entries(files).map(([name, text]) => [name, String(text.length)]),
  });
});

it.each([8 ** 11 - 1, 8 ** 11, 2 ** 40])('tells a file of %d bytes', (bytes) => {
  // Of the file itself nothing follows: tar lists it and then complains.
  expect(listed(tarHeader('search.jsonl', bytes)).files).toEqual([['search.jsonl', String(bytes)]]);
});
