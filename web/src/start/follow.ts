import { onBeforeUnmount, onMounted } from 'vue';
import { onChange } from '../api/client';
import { useStart } from './start';

/** After a change of the reader's: soon, and once more when a box has had time for its part. */
const afterChangeMs = [500, 6_000];
/** Boxes register and searches end by themselves. */
const whileUnderWayMs = 10_000;
const otherwiseMs = 60_000;

/** Keeps the first steps up to date while the reader is led to them and looks at the page; nothing is asked otherwise. */
export function useFollowedStart() {
  const start = useStart();
  let timers: number[] = [];
  let ended = () => {};

  const wanted = () => (start.leads || start.steps.length === 0) && document.visibilityState === 'visible';
  const read = () => {
    if (wanted()) void start.read().catch(() => undefined);
  };
  const beat = () => start.steps.some(({ state }) => state === 'begun') || Date.now() - start.readAt >= otherwiseMs - 1_000;
  function changed() {
    for (const timer of timers) window.clearTimeout(timer);
    timers = afterChangeMs.map((ms) => window.setTimeout(read, ms));
  }
  onMounted(() => {
    read();
    const pulse = window.setInterval(() => beat() && read(), whileUnderWayMs);
    const forget = onChange(changed);
    document.addEventListener('visibilitychange', read);
    ended = () => {
      window.clearInterval(pulse);
      for (const timer of timers) window.clearTimeout(timer);
      forget();
      document.removeEventListener('visibilitychange', read);
    };
  });
  onBeforeUnmount(() => ended());
  return { start, read };
}
