import { parseIdentifier } from './identity.ts'

/**
 * Finds parties in bytes that could not be read as an event: a query string, a JSON text, a binary
 * record. Ids stand there as they are, percent-encoded or escaped.
 */

/** True when the bytes have this id in any of these forms. */
export function mentionsParty(value: Uint8Array, partyId: string): boolean {
  if (partyId === '') return false
  const text = textOf(value)
  return [text, unescapePercent(text), unescapeJson(text)].some(
    (form) => form.includes(partyId) || formsOf(form).includes(partyId),
  )
}

/**
 * The ids that the bytes may mean, canonical: for whoever knows only a hash of what it looks for. An
 * id of a form of its own is found where it stands as a parameter or a JSON member of its name.
 */
export function partiesIn(value: Uint8Array): ReadonlySet<string> {
  const text = textOf(value)
  const found = new Set<string>()
  for (const form of [text, unescapePercent(text), unescapeJson(text)]) {
    for (const id of formsOf(form)) found.add(id)
  }
  for (const [, raw = ''] of text.matchAll(/(?:^|[^\w-])p=([^&\s"#\0]*)/g)) {
    found.add(canonical(unescapePercent(raw.replaceAll('+', ' '))))
  }
  for (const [, raw = ''] of text.matchAll(/"partyId"\s*:\s*"((?:[^"\\]|\\.)*)"/g)) {
    found.add(canonical(unescapeJson(raw)))
  }
  found.delete('')
  return found
}

/** Identifiers as the tag writes them, wherever they stand. */
function formsOf(text: string): string[] {
  return [...text.matchAll(/0:[+-]?[0-9a-z]{1,14}:[\w~-]{1,256}/gi)].map(([id]) => canonical(id))
}

function canonical(id: string): string {
  return parseIdentifier(id) ?? id
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')
}

/** Bytes that are no UTF-8, and escapes that are none, stay as they are. */
function unescapePercent(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  )
}

function unescapeJson(text: string): string {
  return text.replace(/\\(?:u([0-9a-f]{4})|(["\\/]))/gi, (_, code, plain) =>
    code === undefined ? plain : String.fromCharCode(Number.parseInt(code, 16)),
  )
}
