// What all tests of the pages have: a broker, a page that has complained about nothing, and a login.

import { type Page, test as base } from '@playwright/test'

import { Broker } from './broker'

interface Own {
  /** Logged in as guest. */
  pages: Page
}

interface Shared {
  broker: Broker
}

/** What the browser says of an answer that is no 2xx, which tests may want. */
const EXPECTED = 'Failed to load resource'

export const test = base.extend<Own, Shared>({
  broker: [
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const broker = await Broker.start()
      await use(broker)
      await broker.stop()
    },
    { scope: 'worker' },
  ],

  baseURL: async ({ broker }, use) => use(broker.url),

  /** Fails the test if the page throws, breaks its own security policy or asks somebody else. */
  page: async ({ page, broker }, use) => {
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !message.text().includes(EXPECTED)) {
        complaints.push(message.text())
      }
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(broker.url) && !request.url().startsWith('blob:')) {
        complaints.push(`asked ${request.url()}`)
      }
    })
    await use(page)
    base.expect(complaints).toEqual([])
  },

  pages: async ({ page }, use) => {
    await page.goto('/')
    await login(page, 'guest', 'guest')
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await use(page)
  },
})

export const { expect } = base

export async function login(page: Page, user: string, password: string): Promise<void> {
  await page.getByLabel('User').fill(user)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

/** The value beside a figure's name. */
export function figure(page: Page, name: string) {
  return page.locator('.tile', { has: page.getByText(name, { exact: true }) }).locator('.tile-value')
}
