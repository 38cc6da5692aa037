import { readFile } from 'node:fs/promises'

import type { Route } from '@playwright/test'

import { expect, test } from './pages'

test('a user is added with tags and a permission', async ({ pages, broker }) => {
  await pages.goto('/#/users')
  await pages.getByRole('button', { name: 'Add user' }).click()
  const dialog = pages.getByRole('dialog')
  await dialog.getByLabel('Name (required)').fill('ada')
  await dialog.getByLabel('Password (required)').fill('lovelace')
  await dialog.getByRole('checkbox', { name: 'monitoring' }).check()
  await dialog.getByRole('button', { name: 'Add user' }).click()
  await expect(pages.getByRole('heading', { name: 'ada', level: 1 })).toBeVisible()

  await pages.getByRole('button', { name: 'Set permission' }).click()
  await dialog.getByLabel('Configure').fill('^ada')
  await dialog.getByRole('button', { name: 'Set', exact: true }).click()
  await expect(pages.getByRole('region', { name: 'Permissions', exact: true })).toContainText('^ada')
  expect(await broker.api('GET', '/permissions/%2F/ada')).toMatchObject({ configure: '^ada', read: '.*' })

  await pages.getByRole('button', { name: 'Set topic permission' }).click()
  await dialog.getByLabel('Write').fill('^{username}\\.')
  await dialog.getByRole('button', { name: 'Set', exact: true }).click()
  await expect(pages.getByRole('region', { name: 'Topic permissions' })).toContainText('^{username}\\.')

  await pages.getByRole('button', { name: 'Set limit' }).click()
  await dialog.getByLabel('At most').fill('3')
  await dialog.getByRole('button', { name: 'Set', exact: true }).click()
  await expect(pages.getByRole('region', { name: 'Limits' })).toContainText('max-connections')

  await pages.getByRole('button', { name: 'Change tags' }).click()
  await dialog.getByRole('checkbox', { name: 'policymaker' }).check()
  await dialog.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(pages.locator('.heading').getByText('policymaker')).toBeVisible()
  // The password stays what it was.
  const login = `Basic ${Buffer.from('ada:lovelace').toString('base64')}`
  const answer = await fetch(`${broker.url}/api/whoami`, { headers: { authorization: login } })
  expect(answer.status).toBe(200)

  await pages.getByRole('button', { name: 'Delete', exact: true }).click()
  await pages.getByRole('button', { name: 'Delete user' }).click()
  await expect(pages.getByRole('heading', { name: 'Users' })).toBeVisible()
})

test('policies come into force, are changed and go', async ({ pages, broker }) => {
  await broker.api('PUT', '/queues/%2F/ruled', {})
  await pages.goto('/#/policies')
  await pages.getByRole('button', { name: 'Add policy' }).click()
  const dialog = pages.getByRole('dialog')
  await dialog.getByLabel('Name (required)').fill('short')
  await dialog.getByLabel('Pattern (required)').fill('^ruled$')
  await dialog.getByRole('button', { name: 'Add', exact: true }).click()
  await dialog.getByLabel('Name', { exact: true }).fill('max-length')
  await dialog.getByLabel('Value').fill('10')
  await dialog.getByRole('button', { name: 'Set' }).click()
  const table = pages.getByRole('region', { name: 'Policies', exact: true })
  await expect(table).toContainText('max-length 10')
  expect(await broker.api('GET', '/queues/%2F/ruled')).toMatchObject({ policy: 'short' })

  const row = table.getByRole('row', { name: /^short/ })
  await row.getByRole('button', { name: 'Change' }).click()
  await dialog.getByLabel('Value').fill('20')
  await dialog.getByRole('button', { name: 'Set' }).click()
  await expect(table).toContainText('max-length 20')
  await row.getByRole('button', { name: 'Delete' }).click()
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await expect(row).toHaveCount(0)
})

test('a virtual host is added, limited, protected and deleted', async ({ pages }) => {
  await pages.goto('/#/vhosts')
  await pages.getByRole('button', { name: 'Add virtual host' }).click()
  const dialog = pages.getByRole('dialog')
  await dialog.getByLabel('Name (required)').fill('shop')
  await dialog.getByRole('button', { name: 'Add', exact: true }).click()
  await pages.getByRole('link', { name: 'shop', exact: true }).click()
  await pages.getByRole('button', { name: 'Protect' }).click()
  await expect(pages.getByRole('button', { name: 'Delete' })).toHaveCount(0)
  await pages.getByRole('button', { name: 'Unprotect' }).click()
  await pages.getByRole('button', { name: 'Delete' }).click()
  await pages.getByRole('button', { name: 'Delete virtual host' }).click()
  await expect(pages.getByRole('link', { name: 'shop', exact: true })).toHaveCount(0)
})

test('definitions are downloaded, and taken in again', async ({ pages, broker }) => {
  await broker.api('PUT', '/queues/%2F/kept', { durable: true })
  await pages.goto('/#/definitions')
  const waiting = pages.waitForEvent('download')
  await pages.getByRole('button', { name: 'Download' }).click()
  const download = await waiting
  expect(download.suggestedFilename()).toMatch(/^amphora-definitions-.*\.json$/)
  const text = await readFile(await download.path(), 'utf8')
  expect(text).toContain('"kept"')

  await broker.api('DELETE', '/queues/%2F/kept')
  const file = { name: 'definitions.json', mimeType: 'application/json', buffer: Buffer.from(text) }
  await pages.getByLabel('File').setInputFiles(file)
  await pages.getByRole('button', { name: 'Upload' }).click()
  await pages.getByRole('button', { name: 'Take in' }).click()
  await expect(pages.getByText('The definitions are taken in.')).toBeVisible()
  await broker.api('GET', '/queues/%2F/kept')
})

test('a large import says how far it is', async ({ pages }) => {
  const queues = Array.from({ length: 400 }, (_, number) => ({
    name: `many-${String(number)}`,
    vhost: '/',
    durable: true,
    auto_delete: false,
    arguments: {},
  }))
  const file = {
    name: 'many.json',
    mimeType: 'application/json',
    buffer: Buffer.from(JSON.stringify({ queues })),
  }
  // The broker may be done before it is asked: the browser holds the import back until it was seen.
  const held: Route[] = []
  await pages.route('**/api/definitions', (route) => {
    held.push(route)
  })
  await pages.route('**/api/imports', (route) =>
    route.fulfill({ json: { running: true, done: 100, total: 400 } }),
  )
  await pages.goto('/#/definitions')
  await pages.getByLabel('File').setInputFiles(file)
  await pages.getByRole('button', { name: 'Upload' }).click()
  await pages.getByRole('button', { name: 'Take in' }).click()
  await expect(pages.getByRole('progressbar')).toHaveJSProperty('value', 0.25)
  await pages.unroute('**/api/definitions')
  await Promise.all(held.map((route) => route.continue()))
  await expect(pages.getByText('The definitions are taken in.')).toBeVisible()
})

test('the log is shown as it goes on', async ({ pages, broker }) => {
  await pages.goto('/#/logs')
  await expect(pages.locator('.log')).toContainText('logged in to the web UI user=guest')
  const wrong = `Basic ${Buffer.from('nobody:x').toString('base64')}`
  await fetch(`${broker.url}/api/whoami`, { headers: { authorization: wrong } })
  await expect(pages.locator('.log')).toContainText("user 'nobody' - invalid credentials")
  await pages.getByRole('button', { name: 'Change level' }).click()
  const level = pages.getByRole('dialog').getByLabel('Level')
  await level.fill('loud')
  await pages.getByRole('dialog').getByRole('button', { name: 'Change' }).click()
  await expect(pages.getByRole('dialog').getByRole('alert')).toContainText('loud')
  await level.fill('info,amphora::management=debug')
  await pages.getByRole('dialog').getByRole('button', { name: 'Change' }).click()
  await expect(pages.getByRole('dialog')).toHaveCount(0)
  expect(await broker.api('GET', '/settings')).toMatchObject({ log_level: 'info,amphora::management=debug' })
  await pages.getByLabel('From level').selectOption('warn')
  await expect(pages.locator('.log')).not.toContainText('logged in')
})
