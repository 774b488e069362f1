import vue from '@vitejs/plugin-vue2';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [vue()],
  resolve: {
    // Without the first, two copies of Vue are bundled, and el-table silently renders no columns.
    alias: [
      { find: /^vue$/, replacement: 'vue/dist/vue.runtime.esm.js' },
      // The console takes types from proto, and of what runs only who may do what: the rest would bring gRPC along.
      { find: /^@stardipper\/proto$/, replacement: fileURLToPath(new URL('../proto/src/policy/permissions.ts', import.meta.url)) },
    ],
  },
  build: { chunkSizeWarningLimit: 1500 },
  // For work on the console itself: STAR_URL names a running Star.
  server: { host: '127.0.0.1', proxy: { '/api': process.env.STAR_URL ?? 'http://127.0.0.1:8080', '/objects': process.env.STAR_URL ?? 'http://127.0.0.1:8080' } },
});
