import { defineConfig } from 'vite'

// Everything is served from the broker's own root; what has a hash in its name is cached for good.
export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  // `npx vite` serves the source, and asks a broker that runs here for all else.
  server: { proxy: { '/api': 'http://127.0.0.1:15672' } },
})
