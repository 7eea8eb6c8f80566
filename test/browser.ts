import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'

/** The system's Chromium with a fresh profile; suites that use it have `browser` in their file's name. */
export interface TestBrowser {
  readonly context: BrowserContext
  close(): Promise<void>
}

/**
 * @param hosts names that lead to this machine, `*.example.com`
 * @param userAgent headless Chromium's own says that it is one, which is taken for a bot
 */
export async function openBrowser(
  hosts: readonly string[] = [],
  userAgent?: string,
): Promise<TestBrowser> {
  const profile = mkdtempSync(join(tmpdir(), 'millrace-profile-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env['MILLRACE_CHROMIUM'] ?? '/usr/bin/chromium',
    ...(userAgent !== undefined && { userAgent }),
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
      ...(hosts.length === 0
        ? []
        : [`--host-resolver-rules=${hosts.map((host) => `MAP ${host} 127.0.0.1`).join(', ')}`]),
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
