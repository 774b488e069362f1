import { onBeforeUnmount, onMounted, ref } from 'vue';
import { explain } from '../i18n';

/**
 * What a page shows is read when it opens, and again every `everyMs` while it is `needed`. `error` is the last refusal in
 * the reader's words, gone with the next success; `loaded` once there is something to show.
 */
export function useLoading(read: () => Promise<unknown>, again?: { everyMs: number; needed?: () => boolean }) {
  const loading = ref(true);
  const loaded = ref(false);
  const error = ref('');
  let timer = 0;
  async function load() {
    try {
      await read();
      loaded.value = true;
      error.value = '';
    } catch (refused) {
      error.value = explain(refused);
    } finally {
      loading.value = false;
    }
  }
  onMounted(() => {
    void load();
    if (again) timer = window.setInterval(() => (again.needed?.() ?? true) && void load(), again.everyMs);
  });
  onBeforeUnmount(() => window.clearInterval(timer));
  return { loading, loaded, error, load };
}
