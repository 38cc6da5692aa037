import { expect, test } from './pages'

test('everything is reached and done with the keyboard alone', async ({ pages }) => {
  const focused = pages.locator(':focus')
  const press = (...keys: string[]) =>
    keys.reduce((done, key) => done.then(() => pages.keyboard.press(key)), Promise.resolve())

  // There is a way around the navigation.
  await pages.reload()
  await pages.getByRole('heading', { name: 'Overview' }).waitFor()
  await press('Tab')
  await expect(focused).toHaveText('Skip to content')
  await expect(focused).toBeInViewport()
  await press('Enter')
  await expect(focused).toHaveText('Overview')

  // A new page begins at its heading.
  await pages.getByRole('link', { name: 'Queues' }).focus()
  await press('Enter')
  await expect(pages.getByRole('heading', { name: 'Queues', level: 1 })).toBeFocused()
  await pages.getByRole('button', { name: 'Add queue' }).waitFor()
  await press('Tab')
  await expect(focused).toHaveText('Add queue')
  await press('Enter')
  const dialog = pages.getByRole('dialog')
  await expect(dialog).toBeVisible()

  // The focus stays in the dialog, and comes back from it.
  for (let pressed = 0; pressed < 30; pressed += 1) {
    await press('Tab')
    const where = await pages.evaluate(() => {
      const element = document.activeElement
      return element === document.body || element?.closest('dialog') !== null
    })
    expect(where).toBe(true)
  }
  await press('Escape')
  await expect(dialog).toHaveCount(0)
  await expect(focused).toHaveText('Add queue')

  await press('Enter')
  await dialog.getByLabel('Name (required)').focus()
  await pages.keyboard.type('typed')
  await press('Enter')
  await expect(pages.getByRole('heading', { name: 'typed', level: 1 })).toBeFocused()

  // What has the focus is to be seen.
  await pages.getByRole('button', { name: 'Pause' }).waitFor()
  await press('Tab')
  await expect(focused).toHaveText('Pause')
  expect(await focused.evaluate((element) => getComputedStyle(element).outlineStyle)).toBe('solid')
})
