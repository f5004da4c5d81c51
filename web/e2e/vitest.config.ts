import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    fileParallelism: false, // the browsers share two cores with the server
    testTimeout: 240_000,
    hookTimeout: 240_000,
    retry: 0,
  },
})
