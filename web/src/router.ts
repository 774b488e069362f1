import Vue from 'vue';
import VueRouter from 'vue-router';
import BoxList from './boxes/BoxList.vue';
import CalibrationPage from './people/CalibrationPage.vue';
import PersonList from './people/PersonList.vue';
import SearchDetail from './searches/SearchDetail.vue';
import SearchForm from './searches/SearchForm.vue';
import SearchList from './searches/SearchList.vue';
import LogIn from './session/LogIn.vue';
import { useSession } from './session/session';
import SettingsPage from './settings/SettingsPage.vue';
import TenantList from './tenants/TenantList.vue';

/** The provider's people see no searches; who somebody is, is not known before he has logged in. */
function home(): string {
  const session = useSession();
  if (!session.isOpen) return '/log-in';
  return session.may('tenants.read') ? '/tenants' : '/searches';
}

/** `meta.menu` is the key of the menu entry; a route without it has none. `meta.needs`: shown to who holds this permission. */
export function createRouter(): VueRouter {
  // After the store's plugin, whose hook must run first: the first route already asks the session.
  Vue.use(VueRouter);
  const router = new VueRouter({
    routes: [
      { path: '/', redirect: home },
      { path: '/log-in', component: LogIn, meta: { open: true } },
      { path: '/searches', component: SearchList, meta: { menu: 'searches', icon: 'el-icon-search', needs: 'searches.read' } },
      { path: '/searches/new', component: SearchForm },
      { path: '/searches/:id([0-9a-f-]{36})', component: SearchDetail, props: true },
      { path: '/people', component: PersonList, meta: { menu: 'people', icon: 'el-icon-user', needs: 'people.read' } },
      { path: '/people/calibration', component: CalibrationPage },
      { path: '/boxes', component: BoxList, meta: { menu: 'boxes', icon: 'el-icon-video-camera', needs: 'edges.read' } },
      { path: '/tenants', component: TenantList, meta: { menu: 'tenants', icon: 'el-icon-office-building', needs: 'tenants.read' } },
      { path: '/tenants/:tenantId([0-9a-f-]{36})/settings', component: SettingsPage, props: true },
      { path: '/settings', component: SettingsPage, meta: { menu: 'settings', icon: 'el-icon-setting', needs: 'settings.read' } },
      { path: '*', redirect: home },
    ],
  });
  router.beforeEach((to, _from, next) => {
    if (to.meta?.open || useSession().isOpen) return next();
    next({ path: '/log-in', query: { next: to.fullPath } });
  });
  return router;
}
