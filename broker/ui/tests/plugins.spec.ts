import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

import { COMPONENTS as folder } from './broker'
import { expect, figure, test } from './pages'

const component = resolve(folder, 'regex-topic.wasm')

/** For what compiles a component. */
const SLOW = { timeout: 60_000 }

test('a plugin is uploaded, replaced, rolled back, used and deleted', async ({ pages, broker }) => {
  expect(existsSync(component), `${component} is not there: run plugins/build`).toBe(true)
  await pages.getByRole('link', { name: 'Plugins' }).click()
  await pages.getByRole('button', { name: 'Upload plugin' }).click()
  const dialog = pages.getByRole('dialog')
  await dialog.getByLabel('Name (required)').fill('patterns')
  await dialog.getByLabel('Type of exchange').fill('x-patterns')

  // What is no component is refused in the broker's words, and the form stays.
  await dialog.getByLabel('Component').setInputFiles({
    name: 'no.wasm',
    mimeType: 'application/wasm',
    buffer: Buffer.from('no component'),
  })
  await dialog.getByRole('button', { name: 'Upload' }).click()
  await expect(dialog.getByRole('alert')).toBeVisible()
  await dialog.getByLabel('Component').setInputFiles(component)
  await dialog.getByRole('button', { name: 'Upload' }).click()
  await expect(pages.getByRole('heading', { name: 'patterns', level: 1 })).toBeVisible(SLOW)
  await expect(pages.locator('.heading').getByText('loaded')).toBeVisible()

  // A version that fails to load changes nothing; another one can be taken back.
  const version = pages.locator('.facts > div', { hasText: 'Calls itself' }).locator('dd')
  await expect(version).toHaveText('regex-topic')
  await pages.getByRole('button', { name: 'Replace' }).click()
  await dialog.getByLabel('Component').setInputFiles(resolve(folder, 'content-router.wasm'))
  await dialog.getByRole('button', { name: 'Upload' }).click()
  await expect(version).toHaveText('content-router', SLOW)
  await pages.getByRole('button', { name: 'Roll back' }).click()
  await dialog.getByRole('button', { name: 'Roll back' }).click()
  await expect(version).toHaveText('regex-topic', SLOW)

  await broker.api('PUT', '/exchanges/%2F/matched', { type: 'x-patterns' })
  await broker.api('PUT', '/queues/%2F/pictures', {})
  await broker.api('POST', '/bindings/%2F/e/matched/q/pictures', { routing_key: '^cat/.*\\.png$' })
  await broker.publish('matched', 'cat/1.png', 'a picture')
  await expect(figure(pages, 'Calls')).not.toHaveText('0')
  const times = pages.getByRole('figure', { name: 'Time per message' })
  await expect(times.getByRole('rowheader')).not.toHaveCount(0)

  await pages.locator('.heading').getByRole('button', { name: 'Delete' }).click()
  await expect(dialog).toContainText('1 exchange of its type would stay')
  await dialog.getByRole('button', { name: 'Delete plugin' }).click()
  await expect(pages.getByRole('heading', { name: 'Plugins' })).toBeVisible()
  await expect(pages.getByRole('link', { name: 'patterns' })).toHaveCount(0)
})

test('a plugin of the configuration is disabled and enabled', async ({ pages }) => {
  await pages.goto('/#/plugins/configured')
  const heading = pages.locator('.heading')
  await expect(heading.getByText('loaded', { exact: true })).toBeVisible(SLOW)
  await pages.getByRole('button', { name: 'Disable' }).click()
  await pages.getByRole('dialog').getByRole('button', { name: 'Disable' }).click()
  await expect(heading.getByText('not loaded')).toBeVisible()
  await pages.getByRole('button', { name: 'Enable' }).click()
  await expect(heading.getByText('loaded', { exact: true })).toBeVisible(SLOW)
})

test('what a plugin is attached to is told before it is taken away', async ({ pages, broker }) => {
  await broker.api('PUT', '/queues/%2F/attached', { arguments: { 'x-transform': 'late' } })
  await pages.goto('/#/plugins/late')
  const [heading, dialog] = [pages.locator('.heading'), pages.getByRole('dialog')]
  await expect(heading.getByText('loaded', { exact: true })).toBeVisible(SLOW)
  await pages.getByRole('button', { name: 'Disable' }).click()
  await dialog.getByRole('button', { name: 'Disable' }).click()
  await expect(dialog).toContainText("queue 'attached' in vhost '/'")
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await expect(heading.getByText('loaded', { exact: true })).toBeVisible()
  await pages.getByRole('button', { name: 'Disable' }).click()
  await dialog.getByRole('button', { name: 'Disable' }).click()
  await dialog.getByRole('button', { name: 'Disable all the same' }).click()
  await expect(heading.getByText('not loaded')).toBeVisible()
})
