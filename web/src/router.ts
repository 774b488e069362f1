import type { RouteName } from '@stardipper/proto/rules';
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
import StartPage from './start/StartPage.vue';
import { useStart } from './start/start';
import TenantList from './tenants/TenantList.vue';
import UserList from './users/UserList.vue';

/** Of the side menu, in its order; their names are `menu.groups` in the texts. */
export const menuGroups = ['work', 'site', 'administration', 'provider'] as const;
export type MenuGroup = (typeof menuGroups)[number];

export interface PageMeta {
  /** Needs no session. */
  readonly open?: boolean;
  /** The request that the page begins with: shown to whom the policy table lets through. */
  readonly needs?: RouteName;
  readonly menu?: { readonly group: MenuGroup; readonly key: string; readonly icon: string };
}
const needs = (route: RouteName): PageMeta => ({ needs: route });
const entry = (group: MenuGroup, key: string, icon: string, route: RouteName): PageMeta => ({ needs: route, menu: { group, key, icon } });

/** The first page of the menu that the reader may see. */
const home = (routes: readonly RouteConfig[]): string => {
  const seen = routes.filter(({ meta }: { meta?: PageMeta }) => meta?.menu && meta.needs && useSession().mayCall(meta.needs));
  return seen[0]?.path ?? '/account';
};

/** Whoever has just begun is led to what is to be done. */
async function firstPage(routes: readonly RouteConfig[]): Promise<string> {
  const start = useStart();
  // A page that cannot be read says so itself.
  await start.read().catch(() => undefined);
  return start.leads ? '/start' : home(routes);
}

export function createRouter(): VueRouter {
  // After the store's plugin, whose hook must run first: the first route already asks the session.
  Vue.use(VueRouter);
  const router: VueRouter = new VueRouter({
    routes: [
      // Where it leads depends on the reader, below.
      { path: '/', component: Vue.extend({ render: (h) => h() }) },
      { path: '/log-in', component: LogIn, meta: { open: true } },
      { path: '/searches', component: SearchList, meta: entry('work', 'searches', 'el-icon-search', 'GET /api/v1/searches') },
      { path: '/searches/new', component: SearchForm, meta: needs('POST /api/v1/searches') },
      { path: '/searches/:id([0-9a-f-]{36})', component: SearchDetail, props: true, meta: needs('GET /api/v1/searches') },
      { path: '/people', component: PersonList, meta: entry('work', 'people', 'el-icon-user', 'GET /api/v1/people') },
      {
        path: '/people/calibration',
        component: CalibrationPage,
        meta: entry('work', 'calibration', 'el-icon-data-line', 'GET /api/v1/packs/in-use/calibration'),
      },
      { path: '/areas', component: AreasPage, meta: entry('site', 'areas', 'el-icon-map-location', 'GET /api/v1/areas') },
      { path: '/boxes', component: BoxList, meta: entry('site', 'boxes', 'el-icon-video-camera', 'GET /api/v1/edges') },
      { path: '/software', component: SoftwarePage, meta: entry('site', 'software', 'el-icon-cpu', 'GET /api/v1/software/packages') },
      { path: '/users', component: UserList, meta: entry('administration', 'users', 'el-icon-s-custom', 'GET /api/v1/users') },
      { path: '/api-keys', component: ApiKeyList, meta: entry('administration', 'apiKeys', 'el-icon-key', 'GET /api/v1/api-keys') },
      { path: '/settings', component: SettingsPage, meta: entry('administration', 'settings', 'el-icon-setting', 'GET /api/v1/settings') },
      {
        path: '/approvals',
        component: ApprovalList,
        meta: entry('administration', 'approvals', 'el-icon-circle-check', 'GET /api/v1/approvals'),
      },
      { path: '/audit', component: AuditPage, meta: entry('administration', 'audit', 'el-icon-document', 'GET /api/v1/audit') },
      {
        path: '/people/deletions',
        component: DeletionList,
        meta: entry('administration', 'deletions', 'el-icon-document-delete', 'GET /api/v1/people/deletions'),
      },
      { path: '/tenants', component: TenantList, meta: entry('provider', 'tenants', 'el-icon-office-building', 'GET /api/v1/tenants') },
      {
        path: '/tenants/:tenantId([0-9a-f-]{36})/settings',
        component: SettingsPage,
        props: true,
        meta: needs('GET /api/v1/tenants/:tenantId/settings'),
      },
      { path: '/start', component: StartPage },
      { path: '/account', component: AccountPage },
      { path: '*', redirect: '/' },
    ],
  });
  router.beforeEach(async (to, _from, next) => {
    if (to.path === '/' && useSession().isOpen) return next(await firstPage(router.options.routes ?? []));
    const { open, needs: route }: PageMeta = to.meta ?? {};
    if (useSession().isOpen && route !== undefined && !useSession().canCall(route)) return next(home(router.options.routes ?? []));
    if (open || useSession().isOpen) return next();
    next({ path: '/log-in', query: { next: to.fullPath } });
  });
  return router;
}
