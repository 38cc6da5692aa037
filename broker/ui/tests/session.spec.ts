import { expect, login, test } from './pages'

test('a wrong password is refused, by the page and not by the browser', async ({ page }) => {
  await page.goto('/')
  await login(page, 'guest', 'wrong')
  await expect(page.getByRole('alert')).toHaveText('Login failed')
  await login(page, 'guest', 'guest')
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible()
})

test('a session outlives the page, and ends with the logout', async ({ pages, context, broker }) => {
  const [cookie] = await context.cookies()
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' })
  await pages.reload()
  await expect(pages.getByRole('heading', { name: 'Overview' })).toBeVisible()

  await pages.getByRole('button', { name: 'Log out' }).click()
  await expect(pages.getByRole('button', { name: 'Log in' })).toBeVisible()
  const value = `${cookie?.name ?? ''}=${cookie?.value ?? ''}`
  const answer = await fetch(`${broker.url}/api/whoami`, { headers: { cookie: value } })
  expect(answer.status).toBe(401)
})

test('a session changes nothing for pages of others', async ({ pages, context, broker }) => {
  const [{ name, value } = { name: '', value: '' }] = await context.cookies()
  const cookie = `${name}=${value}`
  const change = async (headers: Record<string, string>) => {
    const url = `${broker.url}/api/queues/%2F/forged`
    const { status } = await fetch(url, { method: 'PUT', body: '{}', headers: { cookie, ...headers } })
    return status
  }
  expect(await change({})).toBe(403)
  expect(await change({ 'x-requested-with': 'x', origin: 'http://elsewhere.example' })).toBe(403)
  expect(await change({ 'x-requested-with': 'x', 'sec-fetch-site': 'cross-site' })).toBe(403)
  expect(await change({ 'x-requested-with': 'x', origin: broker.url })).toBe(201)
  await expect(pages.getByRole('heading', { name: 'Overview' })).toBeVisible()
})

test('a new password ends the sessions of the old one', async ({ page, broker }) => {
  await broker.api('PUT', '/users/sam', { password: 'one', tags: ['management'] })
  await page.goto('/')
  await login(page, 'sam', 'one')
  await expect(page.getByRole('heading', { name: 'Overview' })).toBeVisible()
  await broker.api('PUT', '/users/sam', { password: 'two', tags: ['management'] })
  await expect(page.getByText('The session is over. Please log in again.')).toBeVisible()
})

test('who only manages sees no administration', async ({ page, broker }) => {
  await broker.api('PUT', '/users/mia', { password: 'mia', tags: ['management'] })
  await broker.api('PUT', '/permissions/%2F/mia', { configure: '^mia', write: '', read: '^mia' })
  await page.goto('/')
  await login(page, 'mia', 'mia')
  const navigation = page.getByRole('navigation', { name: 'Pages of the broker' })
  await expect(navigation.getByRole('link', { name: 'Queues' })).toBeVisible()
  for (const name of ['Users', 'Plugins', 'Log', 'Definitions']) {
    await expect(navigation.getByRole('link', { name, exact: true })).toHaveCount(0)
  }
  // What the broker refuses is told in its own words.
  await page.goto('/#/queues')
  await page.getByRole('button', { name: 'Add queue' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name (required)').fill('not-mine')
  await dialog.getByRole('button', { name: 'Add queue' }).click()
  await expect(dialog.getByRole('alert')).toHaveText(
    /access to queue 'not-mine' in vhost '\/' refused for user 'mia'/,
  )
})
