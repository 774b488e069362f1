import type { Page } from '@stardipper/proto';
import { type Ref, ref } from 'vue';
import { explain } from '../i18n';

/**
 * A list that is read page by page: `load` from its beginning, `more` what follows. An older answer that comes late says
 * nothing of what was asked since. `error` is the last refusal in the reader's words, gone with the next success.
 */
export function usePages<T>(read: (cursor: string | null) => Promise<Page<T>>) {
  const items: Ref<T[]> = ref([]);
  const cursor = ref<string | null>(null);
  const loading = ref(false);
  const loaded = ref(false);
  const error = ref('');
  let asked = 0;
  async function readFrom(from: string | null) {
    asked += 1;
    const own = asked;
    loading.value = true;
    try {
      const page = await read(from);
      if (own !== asked) return;
      items.value = from ? [...items.value, ...page.items] : page.items;
      cursor.value = page.nextCursor;
      loaded.value = true;
      error.value = '';
    } catch (refused) {
      if (own === asked) error.value = explain(refused);
    } finally {
      if (own === asked) loading.value = false;
    }
  }
  return { items, cursor, loading, loaded, error, load: () => readFrom(null), more: () => readFrom(cursor.value) };
}
