import assert from 'node:assert/strict'
import { it } from 'node:test'
import { visit } from '../dashboard/visit.ts'
import { now, sceneOf, token } from './scene.ts'

it('the page is behind the login where there is a token, and logs out again', async (t) => {
  const scene = await sceneOf(t, { token }, { clock: () => now })
  const { page, context } = await visit(t, `${scene.api.url}/`)
  assert.equal(new URL(page.url()).pathname, '/login')
  await page.getByLabel('Token').fill('wrong')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText('That is not the token.').waitFor()
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByText('Live', { exact: true }).first().waitFor()
  const [cookie] = await context.cookies()
  assert.equal(cookie?.httpOnly, true)
  assert.equal(cookie?.sameSite, 'Strict')
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('Token').waitFor()
  assert.deepEqual(await context.cookies(), [])
})
