// Takes the pictures in this folder, of a broker that has something to show. How, is in the README.

import { type Locator, type Page, test } from '@playwright/test'

import { login } from '../tests/pages'

const URL = process.env.AMPHORA_URL ?? 'http://127.0.0.1:15672'

/** How long a page is looked at before its picture is taken, so that charts and tables have something. */
const PAUSE_MS = 6500

interface Picture {
  path: string
  /** What to do on the page before. */
  prepare?: (page: Page) => Promise<void>
}

const PICTURES: Record<string, Picture> = {
  overview: { path: '' },
  queues: { path: 'queues' },
  queue: { path: 'queues/%2F/payments' },
  stream: { path: 'queues/%2F/orders.audit', prepare: look },
  'dead-letters': { path: 'queues/%2F/payments.dead', prepare: look },
  exchanges: { path: 'exchanges' },
  routes: { path: 'exchanges/%2F/orders' },
  route: { path: 'route', prepare: dryRun },
  delayed: { path: 'delayed' },
  connections: { path: 'connections' },
  channels: { path: 'channels' },
  consumers: { path: 'consumers' },
  plugins: { path: 'plugins' },
  plugin: { path: 'plugins/content-router' },
  policies: { path: 'policies' },
  users: { path: 'users' },
  user: { path: 'users/shop' },
  vhosts: { path: 'vhosts' },
  vhost: { path: 'vhosts/shop' },
  definitions: { path: 'definitions' },
  log: { path: 'logs' },
}

const ALL = Object.keys(PICTURES)

for (const { scheme, width, height, suffix, names } of [
  { scheme: 'light', width: 1280, height: 800, suffix: '', names: ALL },
  {
    scheme: 'dark',
    width: 1280,
    height: 800,
    suffix: '-dark',
    names: ['overview', 'queues', 'queue', 'dead-letters', 'routes', 'route', 'plugin', 'log'],
  },
  {
    scheme: 'light',
    width: 390,
    height: 844,
    suffix: '-phone',
    names: ['overview', 'queues', 'queue', 'plugin'],
  },
] as const) {
  test.describe(scheme + suffix, () => {
    test.use({ colorScheme: scheme, viewport: { width, height } })

    test('pictures are taken', async ({ page }) => {
      await page.goto(`${URL}/`)
      await login(page, 'guest', 'guest')
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      for (const name of names) {
        const picture = PICTURES[name]
        await page.goto(`${URL}/#/${picture?.path ?? ''}`)
        await page.getByRole('heading', { level: 1 }).waitFor()
        await page.waitForTimeout(PAUSE_MS)
        await picture?.prepare?.(page)
        await page.screenshot({ path: `screenshots/${name}${suffix}.png` })
      }
    })
  })
}

async function look(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Look', exact: true }).click()
  await page.locator('.message summary').first().click()
  await scrollTo(page.getByRole('heading', { name: 'Messages', exact: true }))
}

async function dryRun(page: Page): Promise<void> {
  await page.getByLabel('Exchange', { exact: true }).fill('orders')
  await page.getByLabel('Routing key', { exact: true }).fill('order.eu.paid')
  await page.getByLabel('Payload', { exact: true }).fill('{"order": 7, "total": 120}')
  await page.getByRole('button', { name: 'Try', exact: true }).click()
  await page.getByRole('heading', { level: 2 }).first().waitFor()
  await scrollTo(page.getByRole('heading', { level: 2 }).first())
}

/** Shows it right below the page's header. */
async function scrollTo(place: Locator): Promise<void> {
  await place.evaluate((element) => {
    element.scrollIntoView()
    window.scrollBy(0, -70)
  })
}
