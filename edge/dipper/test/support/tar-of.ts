/** Writes tar archives that tar would not write. */

export interface TarEntry {
  readonly path: string;
  readonly body?: Buffer | string;
  /** '0' file, '1' hard link, '2' symbolic link, '3' and '4' devices, '5' folder, '6' pipe. */
  readonly type?: string;
  readonly linkTo?: string;
  /** What the header says, when that is not the length of the body. */
  readonly size?: number;
}

/** Not compressed, with the two empty blocks at its end. */
export const tarOf = (entries: readonly TarEntry[]): Buffer => Buffer.concat([...entries.map(entryOf), Buffer.alloc(1024)]);

/** POSIX ustar. */
function entryOf({ path, body = '', type = '0', linkTo = '', size }: TarEntry): Buffer {
  const content = Buffer.from(body);
  const header = Buffer.alloc(512);
  const put = (text: string, at: number, length: number): void => void header.write(text.slice(0, length), at, 'latin1');
  put(path, 0, 100);
  put('0000644\0', 100, 8);
  put('0000000\0', 108, 8);
  put('0000000\0', 116, 8);
  put(`${(size ?? content.length).toString(8).padStart(11, '0')}\0`, 124, 12);
  put('00000000000\0', 136, 12);
  put('        ', 148, 8);
  put(type, 156, 1);
  put(linkTo, 157, 100);
  put('ustar\0', 257, 6);
  put('00', 263, 2);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
