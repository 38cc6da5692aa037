import { expect, figure, test } from './pages'

test('a queue is made, published to, looked into, purged and deleted', async ({ pages, broker }) => {
  await pages.getByRole('link', { name: 'Queues' }).click()
  await pages.getByRole('button', { name: 'Add queue' }).click()
  const dialog = pages.getByRole('dialog')
  await dialog.getByLabel('Name (required)').fill('made/by hand')
  await dialog.getByRole('button', { name: 'Add', exact: true }).click()
  await dialog.getByLabel('Name', { exact: true }).fill('x-max-length')
  await dialog.getByLabel('Value').fill('1000')
  await dialog.getByRole('button', { name: 'Add queue' }).click()

  await expect(pages.getByRole('heading', { name: 'made/by hand', level: 1 })).toBeVisible()
  const queue = await broker.api<{ arguments: object }>('GET', '/queues/%2F/made%2Fby%20hand')
  expect(queue.arguments).toEqual({ 'x-max-length': 1000 })

  await expect(figure(pages, 'Ready')).toHaveText('0')
  await pages.getByText('A message to this queue').click()
  await pages.getByLabel('Payload').fill('{"total": 12}')
  await pages.getByRole('button', { name: 'Publish' }).click()
  await expect(pages.getByText('Published, and confirmed.')).toBeVisible()
  await expect(figure(pages, 'Ready')).toHaveText('1')

  // The chart moves: its last value is what it draws.
  const waiting = pages.getByRole('figure', { name: 'Messages waiting' })
  await expect(waiting.locator('dd').first()).toHaveText('1')
  for (const number of Array(20).keys()) {
    await broker.publish('', 'made/by hand', String(number))
  }
  await expect(waiting.locator('dd').first()).toHaveText('21')
  const pace = pages.getByRole('figure', { name: 'Messages per second' })
  await expect(pace.locator('dd').first()).not.toHaveText(/^(–|0\/s)$/)

  await pages.getByRole('button', { name: 'Look', exact: true }).click()
  await expect(pages.locator('.message')).toHaveCount(20)
  await pages.locator('.message summary').first().click()
  await expect(pages.locator('.payload').first()).toHaveText('{\n  "total": 12\n}')

  await pages.getByRole('button', { name: 'Purge' }).click()
  await expect(pages.getByRole('dialog')).toContainText('21 ready messages')
  await pages.getByRole('dialog').getByRole('button', { name: 'Purge' }).click()
  await expect(figure(pages, 'Ready')).toHaveText('0')

  await pages.locator('.heading').getByRole('button', { name: 'Delete' }).click()
  await pages.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await expect(pages.getByRole('heading', { name: 'made/by hand', level: 1 })).toBeVisible()
  await pages.locator('.heading').getByRole('button', { name: 'Delete' }).click()
  await pages.getByRole('button', { name: 'Delete queue' }).click()
  await expect(pages.getByRole('heading', { name: 'Queues' })).toBeVisible()
  await expect(broker.api('GET', '/queues/%2F/made%2Fby%20hand')).rejects.toThrow('404')
})

test('many queues are paged, sorted and filtered by the broker', async ({ pages, broker }) => {
  const names = Array.from({ length: 120 }, (_, number) => `paged.${String(number).padStart(3, '0')}`)
  await Promise.all(names.map((name) => broker.api('PUT', `/queues/%2F/${name}`, {})))
  await broker.publish('', 'paged.077', 'x')
  await pages.goto('/#/queues')
  await pages.getByRole('searchbox', { name: 'Filter by name' }).fill('PAGED')
  const shown = pages.getByRole('region', { name: 'Queues' }).getByRole('rowheader')
  await expect(shown).toHaveCount(50)
  await expect(shown.first()).toContainText('paged.000')
  await pages.getByRole('button', { name: 'Next page' }).click()
  await expect(shown.first()).toContainText('paged.050')
  await pages.getByRole('button', { name: 'Ready' }).click()
  await expect(shown.first()).toContainText('paged.077')
  await pages.getByRole('checkbox', { name: 'Regex' }).check()
  await pages.getByRole('searchbox').fill('paged\\.0[12]$')
  await expect(pages.getByText('No name contains that.')).toBeVisible()
  await pages.getByRole('searchbox').fill('paged\\.0[12]5$')
  await expect(shown).toContainText(['paged.025', 'paged.015'])
  // Where one was is part of the address.
  await pages.reload()
  await expect(shown).toHaveCount(2)
})

test('deliveries are paused and resumed', async ({ pages, broker }) => {
  await broker.api('PUT', '/queues/%2F/paused', {})
  await pages.goto('/#/queues/%2F/paused')
  await pages.getByRole('button', { name: 'Pause' }).click()
  await expect(pages.locator('.heading').getByText('paused').last()).toBeVisible()
  await pages.getByRole('button', { name: 'Resume' }).click()
  await expect(pages.locator('.heading').getByText('running')).toBeVisible()
})

test('a stream is read from where one likes', async ({ pages, broker }) => {
  await broker.api('PUT', '/queues/%2F/stream', { durable: true, arguments: { 'x-queue-type': 'stream' } })
  for (const number of Array(30).keys()) {
    await broker.publish('', 'stream', `event ${number}`)
  }
  await pages.goto('/#/queues/%2F/stream')
  await pages.getByRole('button', { name: 'Look', exact: true }).click()
  const messages = pages.locator('.message')
  await expect(messages).toHaveCount(20)
  await expect(messages.first()).toContainText('event 0')
  await pages.getByRole('button', { name: 'Next 20' }).click()
  await expect(messages).toHaveCount(10)
  await expect(messages.first()).toContainText('event 20')
  await pages.getByLabel('From').fill('-2')
  await pages.getByRole('button', { name: 'Look again' }).click()
  await expect(messages).toHaveCount(2)
  await expect(messages.first()).toContainText('event 28')
  await pages.getByLabel('From').fill('yesterday')
  await pages.getByRole('button', { name: 'Look again' }).click()
  await expect(pages.getByRole('alert')).toContainText("invalid arg 'x-stream-offset'")
})
