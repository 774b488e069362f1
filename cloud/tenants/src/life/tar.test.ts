import { spawnSync } from 'node:child_process';
import { tarHeader, tarPadding } from './tar';

it('is what tar reads, also with long names and empty files', () => {
  const long = `crops/${'a'.repeat(36)}/${'b'.repeat(90)}.jpg`;
  const files = { 'tenants.jsonl': 'one\n', [long]: 'x'.repeat(512), empty: '' };
  const parts = Object.entries(files).flatMap(([name, text]) => [tarHeader(name, text.length), Buffer.from(text), tarPadding(text.length)]);
  const { stdout, status } = spawnSync('tar', ['-tvf', '-'], { input: Buffer.concat([...parts, Buffer.alloc(1024)]) });
  expect(status).toBe(0);
  const lines = String(stdout)
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/));
  expect(lines.map((line) => [line.at(-1), line[2]])).toEqual(Object.entries(files).map(([name, text]) => [name, String(text.length)]));
});
