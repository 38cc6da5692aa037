import { expect, test } from './pages'

test('an exchange is made and bound, and its routes are drawn', async ({ pages, broker }) => {
  for (const queue of ['eu', 'us']) {
    await broker.api('PUT', `/queues/%2F/sales.${queue}`, { durable: true })
  }
  await pages.goto('/#/exchanges')
  await pages.getByRole('button', { name: 'Add exchange' }).click()
  const dialog = pages.getByRole('dialog')
  await dialog.getByLabel('Name (required)').fill('sales')
  await dialog.getByLabel('Type', { exact: true }).selectOption('topic')
  await dialog.getByRole('button', { name: 'Add exchange' }).click()
  await expect(pages.getByRole('heading', { name: 'sales', level: 1 })).toBeVisible()

  for (const area of ['eu', 'us']) {
    await pages.getByRole('button', { name: 'Bind', exact: true }).click()
    await dialog.getByLabel('Name (required)').fill(`sales.${area}`)
    await dialog.getByLabel('Routing key').fill(`sale.${area}.*`)
    await dialog.getByRole('button', { name: 'Bind' }).click()
    await expect(dialog).toHaveCount(0)
  }
  const drawing = pages.getByRole('region', { name: 'Drawing of the routes' })
  await expect(drawing.locator('.edge text')).toHaveText(['sale.eu.*', 'sale.us.*'])
  await expect(drawing.getByRole('link')).toHaveCount(3)

  await pages
    .getByRole('row', { name: /sales.us/ })
    .getByRole('button', { name: 'Unbind' })
    .click()
  await pages.getByRole('button', { name: 'Remove binding' }).click()
  await expect(drawing.locator('.edge text')).toHaveText(['sale.eu.*'])

  await drawing.getByRole('link', { name: 'queue sales.eu' }).click()
  await expect(pages.getByRole('heading', { name: 'sales.eu', level: 1 })).toBeVisible()
})

test('an internal exchange is looked at, and not published to', async ({ pages, broker }) => {
  await broker.api('PUT', '/exchanges/%2F/inner', { type: 'fanout', internal: true })
  await pages.goto('/#/exchanges/%2F/inner')
  await expect(pages.getByText('Nothing is bound here.')).toBeVisible()
  await expect(pages.getByRole('heading', { name: 'Publish' })).toHaveCount(0)
})

test('delayed messages are listed and cancelled', async ({ pages, broker }) => {
  await broker.api('PUT', '/exchanges/%2F/later', {
    type: 'x-delayed-message',
    arguments: { 'x-delayed-type': 'direct' },
  })
  await broker.api('PUT', '/queues/%2F/due', {})
  await broker.api('POST', '/bindings/%2F/e/later/q/due', { routing_key: 'soon' })
  await broker.publish('later', 'soon', 'patience', { headers: { 'x-delay': 3_600_000 } })
  await pages.goto('/#/delayed')
  const row = pages.getByRole('row', { name: /patience/ })
  await row.getByRole('button', { name: 'Cancel' }).click()
  await pages.getByRole('button', { name: 'Cancel message' }).click()
  await expect(row).toHaveCount(0)
})
