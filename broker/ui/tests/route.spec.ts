import { expect, test } from './pages'

test('a dry run says where a message goes, and why not elsewhere', async ({ pages, broker }) => {
  await broker.api('PUT', '/exchanges/%2F/trips', { type: 'topic' })
  for (const area of ['eu', 'us']) {
    await broker.api('PUT', `/queues/%2F/trips.${area}`, {})
    await broker.api('POST', `/bindings/%2F/e/trips/q/trips.${area}`, { routing_key: `trip.${area}.*` })
  }
  await pages.goto('/#/exchanges/%2F/trips')
  await pages.getByRole('link', { name: 'Dry run' }).last().click()
  await expect(pages.getByLabel('Exchange')).toHaveValue('trips')
  await pages.getByLabel('Routing key').fill('trip.eu.new')
  await pages.getByRole('button', { name: 'Try' }).click()
  await expect(pages.getByRole('heading', { name: 'It reaches 1 queue' })).toBeVisible()
  const reached = pages.getByRole('region', { name: 'Queues that it comes to' })
  await expect(reached.getByRole('row').nth(1)).toContainText('trips.eu')
  await expect(reached.getByRole('row').nth(1)).toContainText('enqueued')

  const bindings = pages.getByRole('region', { name: 'Bindings of trips' })
  await expect(
    bindings
      .getByRole('row', { name: /trip\.eu/ })
      .getByRole('cell')
      .nth(1),
  ).toHaveText('yes')
  await expect(
    bindings
      .getByRole('row', { name: /trip\.us/ })
      .getByRole('cell')
      .nth(1),
  ).toHaveText('no')
  const drawing = pages.getByRole('region', { name: 'Drawing of the routes' })
  await expect(drawing.locator('.edge.faint')).toHaveCount(1)
  expect(await broker.api('GET', '/queues/%2F/trips.eu')).toMatchObject({ messages_ready: 0 })

  await pages.getByLabel('Routing key').fill('nothing')
  await pages.getByRole('button', { name: 'Try' }).click()
  await expect(pages.getByRole('heading', { name: 'It reaches no queue' })).toBeVisible()
})
