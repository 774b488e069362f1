import { onBeforeUnmount, onMounted, ref } from 'vue';
import { explain } from '../i18n';

/**
 * What a page shows is read when it opens, and again every `everyMs` while it is `needed`. `error` is the last refusal in
 * the reader's words, gone with the next success; what the page itself puts there stays until the page takes it away.
 * `loaded` once there is something to show. Reads do not overtake each other: whoever asks while one is under way is
 * answered by one more.
 */
export function useLoading(read: () => Promise<unknown>, again?: { everyMs: number; needed?: () => boolean }) {
  const loading = ref(true);
  const loaded = ref(false);
  const error = ref('');
  let refusal = '';
  let timer = 0;
  let running: Promise<void> | undefined;
  let once = 0;

  async function readOnce() {
    try {
      await read();
      loaded.value = true;
      if (error.value === refusal) error.value = '';
    } catch (refused) {
      refusal = explain(refused);
      error.value = refusal;
    } finally {
      loading.value = false;
    }
  }
  async function readUntilNobodyAsks() {
    for (once = 1; once > 0; once -= 1) await readOnce();
  }
  function load(): Promise<void> {
    once = Math.min(2, once + 1);
    running ??= readUntilNobodyAsks().finally(() => {
      running = undefined;
    });
    return running;
  }
  onMounted(() => {
    void load();
    if (again) timer = window.setInterval(() => !running && (again.needed?.() ?? true) && void load(), again.everyMs);
  });
  onBeforeUnmount(() => window.clearInterval(timer));
  return { loading, loaded, error, load };
}
