import { defineConfig } from '@playwright/test'

import base from '../playwright.config'

export default defineConfig({
  ...base,
  testDir: '.',
  outputDir: '../test-results',
  testMatch: 'take.ts',
  timeout: 900_000,
  workers: 1,
})
