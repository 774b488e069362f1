import { isIPv6 } from 'node:net';

/**
 * Under what an address is counted: an IPv6 line is given 2^64 addresses (its first four groups are its own, RFC 6177), all of
 * them one stranger's.
 */
export function lineOf(address: string): string {
  const [plain = ''] = address.split('%', 1);
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain) ?? [];
  if (mapped) return mapped;
  if (!isIPv6(plain)) return address;
  const [front = [], back = []] = plain.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const given = front.length + back.length + (plain.includes('.') ? 1 : 0);
  const groups = [...front, ...Array<string>(8 - given).fill('0'), ...back];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
