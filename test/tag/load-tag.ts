import { buildTagScript, type TagScriptOptions } from '../../src/collect/script.ts'
import { parseConfig } from '../../src/config.ts'
import { canonicalText, murmur3 } from '../../src/event/checksum.ts'
import { createFakePage, type FakePage, type FakePageOptions } from './fake-page.ts'

/** A fake page in which the built script has run. */
export async function loadTag(
  options: FakePageOptions = {},
  settings: Partial<TagScriptOptions> = {},
): Promise<FakePage> {
  const page = createFakePage(options)
  await runTag(page, settings)
  return page
}

/** Runs the built script in a page, maybe once more. */
export async function runTag(page: FakePage, settings: Partial<TagScriptOptions> = {}) {
  const { body } = await buildTagScript(parseConfig({ tag: settings }).tag)
  page.run(body.toString())
}

/** One request of the tag, read by the rules of the wire. */
export interface TagRequest {
  /** What stands before `?`. */
  readonly address: string
  /** In the order of the wire, without the checksum. */
  readonly parameters: readonly (readonly [name: string, value: string])[]
  /** The checksum as sent, and as it is right for the other parameters. */
  readonly checksum: string | undefined
  readonly checksumExpected: string
}

export function parseRequest(request: string): TagRequest {
  const [address = '', query = ''] = request.split('?')
  const all = query.split('&').map((pair) => {
    const [name = '', raw = ''] = pair.split('=')
    return [name, decodeURIComponent(raw)] as const
  })
  const parameters = all.filter(([name]) => name !== 'x')
  const text = canonicalText(parameters.map(([name, value]) => [name, [value]]))
  return {
    address,
    parameters,
    checksum: all.find(([name]) => name === 'x')?.[1],
    checksumExpected: murmur3(Buffer.from(text)).toString(36),
  }
}

/** The parameters of every request so far, by name. */
export function eventsOf(page: FakePage): Record<string, string>[] {
  return page.requests.map((request) => Object.fromEntries(parseRequest(request).parameters))
}
