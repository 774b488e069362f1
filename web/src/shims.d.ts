declare module '*.vue' {
  import Vue from 'vue';
  export default Vue;
}
declare module 'element-ui/lib/locale/lang/en';
declare module 'element-ui/lib/locale/lang/zh-CN';
