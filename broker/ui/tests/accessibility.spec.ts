import { AxeBuilder } from '@axe-core/playwright'

import type { Broker } from './broker'
import { expect, test } from './pages'

const PAGES = [
  '',
  'queues',
  'queues/%2F/seen',
  'queues/%2F/seen.stream',
  'exchanges',
  'exchanges/%2F/seen',
  'route',
  'delayed',
  'connections',
  'channels',
  'consumers',
  'plugins',
  'plugins/configured',
  'policies',
  'users',
  'users/guest',
  'vhosts',
  'vhosts/%2F',
  'definitions',
  'logs',
  'nowhere',
]

async function fill(broker: Broker): Promise<void> {
  await broker.api('PUT', '/queues/%2F/seen', { durable: true, arguments: { 'x-max-length': 100 } })
  await broker.api('PUT', '/queues/%2F/seen.stream', {
    durable: true,
    arguments: { 'x-queue-type': 'stream' },
  })
  await broker.api('PUT', '/exchanges/%2F/seen', { type: 'topic' })
  await broker.api('POST', '/bindings/%2F/e/seen/q/seen', { routing_key: 'a.#' })
  await broker.api('POST', '/bindings/%2F/e/seen/q/seen.stream', { routing_key: 'a.#' })
  await broker.api('PUT', '/policies/%2F/seen', { pattern: '^seen$', definition: { 'max-length': 50 } })
  await broker.publish('seen', 'a.b', '{"n": 1}')
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [device, width] of [
    ['desktop', 1280],
    ['phone', 360],
  ] as const) {
    test.describe(`${colorScheme}, ${device}`, () => {
      test.use({ colorScheme, viewport: { width, height: 740 } })

      test('no page has a serious fault or is too wide', async ({ pages, broker }) => {
        await fill(broker)
        for (const path of PAGES) {
          await pages.goto(`/#/${path}`)
          await pages.getByRole('heading', { level: 1 }).waitFor()
          const look = pages.getByRole('button', { name: 'Look', exact: true })
          if (path.startsWith('queues/')) {
            await look.click()
            await pages.locator('.message summary').first().click()
          }
          await pages.waitForLoadState('networkidle')
          const { violations } = await new AxeBuilder({ page: pages }).analyze()
          const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
          const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
          expect(told, `#/${path}`).toEqual([])
          const over = await pages.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
          expect(over, `#/${path} is wider than the screen`).toBeLessThanOrEqual(0)
        }
      })
    })
  }
}

test('a dialog and the login have no serious fault', async ({ page, pages }) => {
  await pages.goto('/#/queues')
  await pages.getByRole('button', { name: 'Add queue' }).click()
  await pages.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click()
  const dialog = await new AxeBuilder({ page }).analyze()
  expect(dialog.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).toEqual([])
  await pages.keyboard.press('Escape')
  await pages.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('button', { name: 'Log in' }).waitFor()
  const login = await new AxeBuilder({ page }).analyze()
  expect(login.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).toEqual([])
})

test('colours follow the system until one chooses', async ({ pages }) => {
  await pages.emulateMedia({ colorScheme: 'dark' })
  await expect(pages.locator('html')).toHaveClass('dark')
  await pages.emulateMedia({ colorScheme: 'light' })
  await expect(pages.locator('html')).toHaveClass('light')
  await pages.getByRole('button', { name: /^Colours: system/ }).click()
  await expect(pages.locator('html')).toHaveClass('dark')
  await pages.reload()
  await expect(pages.locator('html')).toHaveClass('dark')
})

test('nothing is asked while the tab is hidden', async ({ pages }) => {
  await pages.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  // What was asked before is answered.
  await pages.waitForLoadState('networkidle')
  let asked = 0
  pages.on('request', () => (asked += 1))
  await pages.waitForTimeout(7000)
  expect(asked).toBe(0)
  await pages.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => false })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  await expect.poll(() => asked).toBeGreaterThan(0)
})
