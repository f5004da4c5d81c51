/** Two faces, two builds: nothing of the console is served to buyers. Run by `vite build --mode storefront` and `--mode console`. */
import { resolve } from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const faces = {
  storefront: { base: '/shop/', port: 5173, listener: 'http://127.0.0.1:8080', api: '^/(v1|demo|problems)/' },
  console: { base: '/console/', port: 5174, listener: 'http://127.0.0.1:8081', api: '^/(admin|login|logout)' },
}

export default defineConfig(({ mode }) => {
  const name = mode === 'console' ? 'console' : 'storefront'
  const face = faces[name]
  return {
    base: face.base,
    plugins: name === 'console' ? [react()] : [],
    oxc: name === 'storefront' ? { jsx: { runtime: 'automatic', importSource: 'preact' } } : {},
    define: { 'process.env.NODE_ENV': JSON.stringify(process.env.NODE_ENV === 'development' ? 'development' : 'production') },
    // The server puts a nonce of its own into every answer; see nonce in web/face.go.
    html: { cspNonce: 'PENSTOCK-NONCE' },
    build: {
      outDir: `dist/${name}`,
      emptyOutDir: true,
      target: 'es2022',
      assetsInlineLimit: 0, // so that the policy of the page needs no data: scripts and styles
      chunkSizeWarningLimit: 1500,
      rolldownOptions: { input: resolve(import.meta.dirname, `${name}.html`) },
    },
    server: { port: face.port, strictPort: true, proxy: { [face.api]: face.listener } },
  }
})
