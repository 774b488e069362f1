import ElementUI from 'element-ui';
import 'element-ui/lib/theme-chalk/index.css';
import { createPinia, PiniaVuePlugin } from 'pinia';
import Vue from 'vue';
import App from './shell/App.vue';
import './shell/style.css';
import { i18n } from './i18n';
import { createRouter } from './router';

Vue.use(PiniaVuePlugin);
Vue.use(ElementUI, { i18n: (key: string, value: unknown) => i18n.t(key, value as Record<string, unknown>), size: 'small' });

const pinia = createPinia();
new Vue({ pinia, router: createRouter(), i18n, render: (h) => h(App) }).$mount('#app');
