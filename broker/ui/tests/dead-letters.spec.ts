import type { Broker } from './broker'
import { expect, figure, test } from './pages'

/** A queue whose messages die at once, and where they go to. */
async function graveyard(broker: Broker, name: string, bodies: string[]): Promise<void> {
  await broker.api('PUT', `/queues/%2F/${name}.dead`, { durable: true })
  await broker.api('PUT', `/queues/%2F/${name}`, {
    durable: true,
    arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': `${name}.dead` },
  })
  await broker.api('POST', `/bindings/%2F/e/amq.topic/q/${name}`, { routing_key: `${name}.#` })
  for (const body of bodies) {
    await broker.publish('amq.topic', `${name}.new`, body, { expiration: '1', delivery_mode: 2 })
  }
  await expect
    .poll(async () => (await broker.api<{ messages: number }>('GET', `/queues/%2F/${name}.dead`)).messages)
    .toBe(bodies.length)
}

async function bodies(broker: Broker, queue: string): Promise<string[]> {
  const messages = await broker.api<{ payload: string }[]>('POST', `/queues/%2F/${queue}/get`, {
    count: 100,
    ackmode: 'ack_requeue_true',
    encoding: 'auto',
  })
  return messages.map(({ payload }) => payload)
}

test('dead letters tell how they died, and go back to where that was', async ({ pages, broker }) => {
  await graveyard(broker, 'orders', ['first', 'second', 'third'])
  await pages.goto('/#/queues/%2F/orders.dead')
  await pages.getByRole('button', { name: 'Look', exact: true }).click()
  await expect(pages.locator('.message')).toHaveCount(3)
  await pages.locator('.message summary').first().click()
  const deaths = pages.getByRole('region', { name: 'Deaths' }).getByRole('row').nth(1)
  await expect(deaths).toContainText('orders')
  await expect(deaths).toContainText('expired')

  await pages.locator('.messages > li', { hasText: 'second' }).getByRole('checkbox').check()
  await pages.getByRole('button', { name: 'Back to their queue' }).click()
  await pages.getByRole('dialog').getByRole('button', { name: 'Republish' }).click()
  await expect(pages.getByText('Moved 1.')).toBeVisible()
  await expect(figure(pages, 'Ready')).toHaveText('2')
  expect(await bodies(broker, 'orders')).toEqual(['second'])
  expect(await bodies(broker, 'orders.dead')).toEqual(['first', 'third'])

  await pages.locator('.messages > li', { hasText: 'third' }).getByRole('checkbox').check()
  await pages.getByRole('button', { name: 'To their exchange' }).click()
  await pages.getByRole('dialog').getByRole('button', { name: 'Republish' }).click()
  await expect(figure(pages, 'Ready')).toHaveText('1')
  expect(await bodies(broker, 'orders')).toEqual(['second', 'third'])
})

test('messages are moved elsewhere and deleted, one by one', async ({ pages, broker }) => {
  await graveyard(broker, 'mails', ['a', 'b', 'c', 'd'])
  await broker.api('PUT', '/queues/%2F/review', { durable: true })
  await pages.goto('/#/queues/%2F/mails.dead')
  await pages.getByRole('button', { name: 'Look', exact: true }).click()
  await pages.locator('.messages > li').nth(1).getByRole('checkbox').check()
  await pages.getByRole('button', { name: 'Move…' }).click()
  const dialog = pages.getByRole('dialog')
  await dialog.getByLabel('Routing key').fill('nowhere')
  await dialog.getByRole('button', { name: 'Move', exact: true }).click()
  await expect(dialog.getByRole('alert')).toContainText(
    "reaches no queue by exchange '' with routing key 'nowhere'",
  )
  await dialog.getByLabel('Routing key').fill('review')
  await dialog.getByRole('button', { name: 'Move', exact: true }).click()
  await expect(pages.getByText('Moved 1.')).toBeVisible()
  expect(await bodies(broker, 'review')).toEqual(['b'])

  await expect(pages.locator('.messages > li')).toHaveCount(3)
  await pages.locator('.messages > li').nth(0).getByRole('checkbox').check()
  await pages.locator('.messages > li').nth(2).getByRole('checkbox').check()
  await pages.locator('.picked').getByRole('button', { name: 'Delete' }).click()
  await pages.getByRole('button', { name: 'Delete messages' }).click()
  await expect(pages.getByText('Deleted 2.')).toBeVisible()
  expect(await bodies(broker, 'mails.dead')).toEqual(['c'])
})
