import { getCurrentInstance } from 'vue';
import type VueRouter from 'vue-router';
import type { Route } from 'vue-router';

/** vue-router 3 has no composition functions of its own for Vue 2.7. */
export function useRouter(): VueRouter {
  return getCurrentInstance()!.proxy.$router;
}

/** The route at the time of the call. */
export function useRoute(): Route {
  return getCurrentInstance()!.proxy.$route;
}
