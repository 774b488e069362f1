/** What the demo prints: on a terminal live bars, elsewhere a line now and then. */

import type { CoverageTotals, Estimate, Search } from '@stardipper/proto';
import type { Evaluation } from './evaluate.ts';

export interface Screen {
  say(line?: string): void;
  /** Bars redrawn in place; `say` prints above them. */
  bars(lines: readonly string[]): void;
  /** Leaves the last bars standing. */
  endBars(): void;
}

/** Lines go to `stream`; without a terminal bars appear every five seconds. */
export function createScreen(stream: NodeJS.WriteStream): Screen {
  let shown: readonly string[] = [];
  let printedAt = 0;
  const clear = () => {
    if (shown.length > 0) stream.write(`\x1b[${shown.length}A\x1b[0J`);
  };
  if (!stream.isTTY) {
    return {
      say: (line = '') => void stream.write(`${line}\n`),
      bars: (lines) => {
        shown = lines;
        if (Date.now() - printedAt < 5000) return;
        printedAt = Date.now();
        stream.write(`${lines.join('\n')}\n`);
      },
      endBars: () => {
        if (shown.length > 0) stream.write(`${shown.join('\n')}\n`);
        shown = [];
      },
    };
  }
  return {
    say: (line = '') => {
      clear();
      stream.write(`${line}\n${shown.map((l) => `${l}\n`).join('')}`);
    },
    bars: (lines) => {
      clear();
      shown = lines;
      stream.write(lines.map((l) => `${l}\n`).join(''));
    },
    endBars: () => {
      shown = [];
    },
  };
}

/** `East court  ████████░░░░  63 %  searching · 1,204 keyframes · 7 matches` */
export function bar(name: string, share: number, note: string, width = 28): string {
  const full = Math.round(Math.max(0, Math.min(1, share)) * width);
  return `  ${name.padEnd(14)} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${String(Math.floor(share * 100)).padStart(3)} %  ${note}`;
}

export const searchBars = (search: Search): string[] =>
  search.tasks.map((task) =>
    bar(
      task.edgeName,
      task.rangeSeconds > 0 ? task.doneSeconds / task.rangeSeconds : 0,
      `${task.state} · ${task.keyframesDecoded.toLocaleString('en')} frames decoded · ${(task.downloadedBytes / 1e6).toFixed(1)} MB · ${task.matches} matches`,
    ),
  );

export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = headings.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]?.length ?? 0)));
  const line = (cells: readonly string[]) => `  ${cells.map((c, i) => c.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd();
  return [line(headings), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)];
}

export function evaluationTable(
  evaluation: Evaluation,
  cameraName: (key: string) => string,
  personName: (key: string) => string,
): string[] {
  const clock = (ms: number) => `${String(Math.floor(ms / 60_000)).padStart(2, '0')}:${String((ms / 1000) % 60).padStart(2, '0')}`;
  return table(
    ['person', 'camera', 'at', 'face', 'result', 'best score'],
    evaluation.verdicts.map((v) => [
      personName(v.appearance.person),
      cameraName(v.appearance.camera),
      clock(v.appearance.from),
      `${v.appearance.facePx} px`,
      v.found ? `found (${v.matches})` : v.promised ? 'MISSED' : 'too small, not promised',
      v.bestScore?.toFixed(3) ?? '',
    ]),
  );
}

/** As the console says it. */
const expected = (seconds: number): string => (seconds < 10 ? 'a few seconds' : `about ${Math.ceil(seconds)} s`);

export function estimateLines(estimate: Estimate): string[] {
  return [
    `  ${estimate.cameraHours.toFixed(2)} camera-hours, ${estimate.indexedHours.toFixed(2)} of them in the index already; ${estimate.edges.some((e) => e.answered) ? expected(estimate.expectedSeconds) : 'for how long is not known'}; ${estimate.price.amount} ${estimate.price.currency}`,
    ...estimate.edges.map((e) =>
      e.answered
        ? `  ${e.edgeName}: ${expected(e.expectedSeconds)}${e.measured ? '' : ' (not yet measured on this footage)'}; ${e.recorders
            .map(
              (r) =>
                `recorder ${r.reachable ? `${r.sessions} of ${r.maxSessions} sessions` : 'not reachable'}, ${(r.downloadBytes / 1e6).toFixed(0)} MB`,
            )
            .join('; ')}`
        : `  ${e.edgeName}: no answer, unknown`,
    ),
  ];
}

export function coverageLines(totals: CoverageTotals, cameraSeconds: number): string[] {
  const sum = totals.searchedSeconds + totals.indexedSeconds + totals.noFootageSeconds + totals.failedSeconds;
  const s = (n: number) => `${n.toLocaleString('en', { maximumFractionDigits: 3 })} s`;
  return [
    `  searched ${s(totals.searchedSeconds)} + from index ${s(totals.indexedSeconds)} + no footage ${s(totals.noFootageSeconds)} + failed ${s(totals.failedSeconds)} = ${s(sum)}`,
    `  cameras x range = ${s(cameraSeconds)}${Math.abs(sum - cameraSeconds) < 0.0005 ? ', exactly' : '  <-- DOES NOT ADD UP'}`,
  ];
}
