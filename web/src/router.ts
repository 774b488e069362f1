import type { Permission } from '@stardipper/proto';
import Vue from 'vue';
import VueRouter, { type RouteConfig } from 'vue-router';
import ApiKeyList from './api-keys/ApiKeyList.vue';
import ApprovalList from './approvals/ApprovalList.vue';
import AreasPage from './areas/AreasPage.vue';
import AuditPage from './audit/AuditPage.vue';
import BoxList from './boxes/BoxList.vue';
import CalibrationPage from './people/CalibrationPage.vue';
import DeletionList from './people/DeletionList.vue';
import PersonList from './people/PersonList.vue';
import SearchDetail from './searches/SearchDetail.vue';
import SearchForm from './searches/SearchForm.vue';
import SearchList from './searches/SearchList.vue';
import AccountPage from './session/AccountPage.vue';
import LogIn from './session/LogIn.vue';
import { useSession } from './session/session';
import SettingsPage from './settings/SettingsPage.vue';
import SoftwarePage from './software/SoftwarePage.vue';
import TenantList from './tenants/TenantList.vue';
import UserList from './users/UserList.vue';

/** The first page of the menu that the reader may see. */
const home = (routes: readonly RouteConfig[]): string =>
  routes.find(({ meta }) => meta?.menu && (meta.needs === undefined || useSession().may(meta.needs as Permission)))?.path ?? '/log-in';

/** `meta.menu` is the key of the menu entry; a route without it has none. `meta.needs`: shown to who holds this permission. */
export function createRouter(): VueRouter {
  // After the store's plugin, whose hook must run first: the first route already asks the session.
  Vue.use(VueRouter);
  const router: VueRouter = new VueRouter({
    routes: [
      { path: '/', redirect: () => home(router.options.routes ?? []) },
      { path: '/log-in', component: LogIn, meta: { open: true } },
      { path: '/searches', component: SearchList, meta: { menu: 'searches', icon: 'el-icon-search', needs: 'searches.read' } },
      { path: '/searches/new', component: SearchForm },
      { path: '/searches/:id([0-9a-f-]{36})', component: SearchDetail, props: true },
      { path: '/people', component: PersonList, meta: { menu: 'people', icon: 'el-icon-user', needs: 'people.read' } },
      { path: '/people/calibration', component: CalibrationPage },
      { path: '/people/deletions', component: DeletionList },
      { path: '/boxes', component: BoxList, meta: { menu: 'boxes', icon: 'el-icon-video-camera' } },
      { path: '/areas', component: AreasPage, meta: { menu: 'areas', icon: 'el-icon-office-building' } },
      { path: '/software', component: SoftwarePage, meta: { menu: 'software', icon: 'el-icon-cpu', needs: 'software.read' } },
      { path: '/approvals', component: ApprovalList, meta: { menu: 'approvals', icon: 'el-icon-circle-check', needs: 'searches.approve' } },
      { path: '/users', component: UserList, meta: { menu: 'users', icon: 'el-icon-s-custom', needs: 'users.read' } },
      { path: '/api-keys', component: ApiKeyList, meta: { menu: 'apiKeys', icon: 'el-icon-key', needs: 'keys.read' } },
      { path: '/audit', component: AuditPage, meta: { menu: 'audit', icon: 'el-icon-document', needs: 'audit.read' } },
      { path: '/account', component: AccountPage },
      { path: '/tenants', component: TenantList, meta: { menu: 'tenants', icon: 'el-icon-office-building', needs: 'tenants.read' } },
      { path: '/tenants/:tenantId([0-9a-f-]{36})/settings', component: SettingsPage, props: true },
      { path: '/settings', component: SettingsPage, meta: { menu: 'settings', icon: 'el-icon-setting', needs: 'settings.read' } },
      { path: '*', redirect: '/' },
    ],
  });
  router.beforeEach((to, _from, next) => {
    const needs = to.meta?.needs as Permission | undefined;
    if (useSession().isOpen && needs !== undefined && !useSession().may(needs)) return next(home(router.options.routes ?? []));
    if (to.meta?.open || useSession().isOpen) return next();
    next({ path: '/log-in', query: { next: to.fullPath } });
  });
  return router;
}
