import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exposureRows } from './exposures.ts'
import { stageOf } from './stage.ts'
import { tabTo, visit } from './visit.ts'

describe('the view of recommendations in a browser', () => {
  it('shows what was seen and clicked by model, position and day, and joins the two by their id', async (t) => {
    const rows = exposureRows(Date.now())
    const stage = await stageOf(t, { rows })
    const { page, complaints } = await visit(t, `${stage.api.url}/#/recommendations?days=90`)
    await page.locator('.latest tbody tr').first().waitFor()
    const clicks = rows.filter(({ eventType }) => eventType === 'click')
    const total = await page.locator('.metric', { hasText: 'Clicks' }).locator('strong').innerText()
    assert.equal(total, clicks.length.toLocaleString('en'))
    assert.equal(await page.locator('.bars').count(), 2)
    assert.equal(await page.locator('.latest tr[data-recommendation]').count(), 10)
    await tabTo(page, 'input[value="impressions"]')
    await page.keyboard.press('ArrowRight')
    await page.getByText('Clicks by day (UTC)').waitFor()
    assert.match(page.url(), /show=clicks/)
    assert.deepEqual(complaints, [])
  })

  it('says how to come by recommendations where none was seen', async (t) => {
    const stage = await stageOf(t)
    const { page } = await visit(t, `${stage.api.url}/#/recommendations`)
    await page.getByText('No recommendation was seen').waitFor()
  })
})
