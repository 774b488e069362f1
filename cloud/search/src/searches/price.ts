const scaleDigits = 6;
const msPerHour = 3_600_000n;

/**
 * Price of some camera-time, as decimal text with two digits, rounded half up. Integer arithmetic throughout:
 * 0.1 has no exact double, and a bill must not depend on the order of additions.
 * @param pricePerCameraHour decimal text with at most six digits after the point, such as `0.12`
 */
export function priceOf(cameraMs: number, pricePerCameraHour: string): string {
  const parsed = /^(\d{1,9})(?:\.(\d{1,6}))?$/.exec(pricePerCameraHour);
  if (!parsed) throw new Error(`price per camera-hour is not a decimal: ${pricePerCameraHour}`);
  const micros = BigInt(parsed[1] as string) * 1_000_000n + BigInt((parsed[2] ?? '').padEnd(scaleDigits, '0'));
  const divisor = msPerHour * 10_000n;
  const cents = (BigInt(cameraMs) * micros * 2n + divisor) / (divisor * 2n);
  return `${cents / 100n}.${(cents % 100n).toString().padStart(2, '0')}`;
}
