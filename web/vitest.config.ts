import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const options = { environment: 'jsdom' as const, restoreMocks: true, testTimeout: 10_000 }

export default defineConfig({
  test: {
    projects: [
      {
        oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
        test: { ...options, name: 'storefront', include: ['src/{storefront,shared,api}/**/*.test.{ts,tsx}'] },
      },
      {
        plugins: [react()],
        test: { ...options, name: 'console', include: ['src/console/**/*.test.{ts,tsx}'] },
      },
    ],
  },
})
