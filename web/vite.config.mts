import vue from '@vitejs/plugin-vue2';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [vue()],
  resolve: {
    // Without this two copies of Vue are bundled, and el-table silently renders no columns.
    alias: [
      { find: /^vue$/, replacement: 'vue/dist/vue.runtime.esm.js' },
      // From its source: the package itself is CommonJS and brings gRPC along.
      { find: '@stardipper/proto/rules', replacement: fileURLToPath(new URL('../proto/src/rules.ts', import.meta.url)) },
    ],
  },
  build: { chunkSizeWarningLimit: 1500 },
  // For work on the console itself: STAR_URL names a running Star.
  server: { host: '127.0.0.1', proxy: Object.fromEntries(['/api', '/objects', '/realms', '/console.json'].map((path) => [path, process.env.STAR_URL ?? 'http://127.0.0.1:8080'])) },
});
