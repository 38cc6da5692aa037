import { existsSync } from 'node:fs'

import { defineConfig } from '@playwright/test'

// Browsers that distributions package; Playwright's own are not fetched.
const BROWSERS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
const browser = process.env.AMPHORA_CHROMIUM ?? BROWSERS.find((path) => existsSync(path))

export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results',
  fullyParallel: true,
  forbidOnly: true,
  workers: 2,
  // Long, so that a busy machine fails no test.
  timeout: 180_000,
  expect: { timeout: 30_000 },
  reporter: 'list',
  use: {
    viewport: { width: 1280, height: 800 },
    screenshot: 'only-on-failure',
    launchOptions: {
      ...(browser === undefined ? {} : { executablePath: browser }),
      // Root, as in containers, has no sandbox to be had.
      chromiumSandbox: process.getuid?.() !== 0,
    },
  },
})
