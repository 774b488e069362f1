/** Plain drawn places for the simulated cameras: no photograph, so nothing to license, and no face by accident. */

const places = [
  { sky: '#b9c7d0', ground: '#6d6a60', wall: '#8d8478', accent: '#5c6b52' },
  { sky: '#a8a39a', ground: '#57534c', wall: '#b6ab98', accent: '#7a5a44' },
  { sky: '#8793a0', ground: '#4a4f52', wall: '#6c7278', accent: '#3f5d70' },
] as const;

/** An SVG of 1920 x 1080. */
export function backgroundSvg(index: number): string {
  const p = places[index % places.length] as (typeof places)[number];
  const tiles = Array.from(
    { length: 24 },
    (_, i) => `<rect x="${i * 80}" y="${720 + (i % 3) * 24}" width="76" height="330" fill="#000" opacity="0.06"/>`,
  ).join('');
  const windows = Array.from({ length: 18 }, (_, i) => {
    const x = 90 + (i % 9) * 200;
    const y = 90 + Math.floor(i / 9) * 230;
    return `<rect x="${x}" y="${y}" width="110" height="150" fill="${p.accent}" opacity="0.55"/><rect x="${x + 52}" y="${y}" width="6" height="150" fill="#222" opacity="0.4"/>`;
  }).join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="1920" height="1080">
  <defs><linearGradient id="s" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${p.sky}"/><stop offset="1" stop-color="${p.wall}"/></linearGradient></defs>
  <rect width="1920" height="720" fill="url(#s)"/>${windows}
  <rect y="720" width="1920" height="360" fill="${p.ground}"/>${tiles}
  <path d="M0 720 H1920" stroke="#222" stroke-width="6" opacity="0.4"/>
  <rect x="1500" y="420" width="180" height="300" fill="#3b3129"/><rect x="1512" y="432" width="156" height="288" fill="${p.accent}"/>
</svg>`;
}
