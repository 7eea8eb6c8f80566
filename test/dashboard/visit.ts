import type { TestContext } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { openBrowser } from '../browser.ts'

/** A browser that looks at the dashboard. */
export interface Visit {
  readonly page: Page
  readonly context: BrowserContext
  /** What the page complained about, the policy's refusals included. */
  readonly complaints: string[]
}

/** @param prepare what is to be so before the page is opened */
export async function visit(
  t: TestContext,
  url: string,
  prepare: (context: BrowserContext) => Promise<void> = async () => {},
): Promise<Visit> {
  const { context, close } = await openBrowser()
  t.after(close)
  await prepare(context)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (line) => {
    if (line.type() === 'error') complaints.push(line.text())
  })
  page.on('dialog', (dialog) => {
    complaints.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.goto(url)
  return { page, context, complaints }
}

/**
 * Presses Tab until the focus is where `selector` says, as a person without a mouse does.
 * @throws when it is not reached in a round: the keyboard is trapped or cannot get there
 */
export async function tabTo(page: Page, selector: string): Promise<void> {
  const wanted = page.locator(selector)
  for (let press = 0; press < 120; press++) {
    await page.keyboard.press('Tab')
    if (await wanted.evaluateAll((all) => all.some((one) => one === document.activeElement))) return
  }
  throw new Error(`the keyboard does not reach ${selector}`)
}
