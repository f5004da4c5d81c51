import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    fileParallelism: false, // the browsers share two cores with the server
    testTimeout: 40_000,
    hookTimeout: 30_000,
    retry: 0,
  },
})
