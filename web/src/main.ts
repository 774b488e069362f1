import ElementUI from 'element-ui';
import 'element-ui/lib/theme-chalk/index.css';
import { createPinia, PiniaVuePlugin } from 'pinia';
import Vue from 'vue';
import App from './shell/App.vue';
import { KeyboardDialog } from './shell/keyboard-dialog';
import './shell/style.css';
import { i18n } from './i18n';
import { createRouter } from './router';
import { useSession } from './session/session';

Vue.use(PiniaVuePlugin);
Vue.use(ElementUI, { i18n: (key: string, value: unknown) => i18n.t(key, value as Record<string, unknown>), size: 'small' });
Vue.component('ElDialog', KeyboardDialog);

async function open(): Promise<void> {
  const pinia = createPinia();
  // Before the router, whose first route already asks the session.
  const next = await useSession(pinia).start();
  const router = createRouter();
  if (next) await router.replace(next).catch(() => undefined);
  new Vue({ pinia, router, i18n, render: (h) => h(App) }).$mount('#app');
}

void open();
