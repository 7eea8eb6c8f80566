import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'

/** The system's Chromium with a fresh profile; suites that use it have `browser` in their file's name. */
export interface TestBrowser {
  readonly context: BrowserContext
  close(): Promise<void>
}

export async function openBrowser(): Promise<TestBrowser> {
  const profile = mkdtempSync(join(tmpdir(), 'millrace-profile-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env['MILLRACE_CHROMIUM'] ?? '/usr/bin/chromium',
    // Playwright itself switches the back/forward cache off.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  return {
    context,
    async close() {
      await context.close()
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
