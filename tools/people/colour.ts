/** Red, green, blue, 0 to 255. */
export type Rgb = readonly [number, number, number];

const clamp = (v: number): number => Math.max(0, Math.min(255, Math.round(v)));
export const css = ([r, g, b]: Rgb): string => `#${[r, g, b].map((v) => clamp(v).toString(16).padStart(2, '0')).join('')}`;
export const mix = (a: Rgb, b: Rgb, share: number): Rgb => [
  a[0] + (b[0] - a[0]) * share,
  a[1] + (b[1] - a[1]) * share,
  a[2] + (b[2] - a[2]) * share,
];
/** Multiplied: below 1 darker, above 1 lighter. */
export const shade = (c: Rgb, by: number): Rgb => [c[0] * by, c[1] * by, c[2] * by];

export function hsl(hue: number, saturation: number, lightness: number): Rgb {
  const a = saturation * Math.min(lightness, 1 - lightness);
  const f = (n: number): number => {
    const k = (n + hue / 30) % 12;
    return 255 * (lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [f(0), f(8), f(4)];
}

/** From light to dark; what lies between two is mixed. */
const skins: readonly Rgb[] = [
  [250, 222, 203],
  [240, 200, 172],
  [226, 178, 144],
  [203, 150, 112],
  [172, 118, 82],
  [134, 87, 58],
  [96, 62, 43],
];

export function skinColour(darkness: number, warmth: number): Rgb {
  const at = Math.max(0, Math.min(0.999, darkness)) * (skins.length - 1);
  const low = Math.floor(at);
  const c = mix(skins[low] as Rgb, skins[low + 1] as Rgb, at - low);
  return [c[0] + warmth * 8, c[1] - Math.abs(warmth) * 3, c[2] - warmth * 12];
}
