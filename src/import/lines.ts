/** The lines of a text, some at a time. */

/** A line, without its end; null for one that is too long. */
export type Line = string | null

/** No row of a shop's file comes near; a file without line breaks must not be held in memory. */
export const lineCharactersMax = 1024 * 1024

/**
 * Splits UTF-8 at LF or CRLF; a byte order mark is left out, broken UTF-8 becomes U+FFFD. A last
 * line without an end is a line, unless `chunks` throws there: then it may not be whole.
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  charactersMax: number = lineCharactersMax,
): AsyncGenerator<readonly Line[], void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  let isSkipping = false
  const cutLine = (text: string): Line => {
    const line = isSkipping || text.length > charactersMax ? null : trimEnd(text)
    isSkipping = false
    return line
  }
  for await (const chunk of chunks) {
    const parts = decoder.decode(chunk, { stream: true }).split('\n')
    const last = parts.pop() ?? ''
    if (parts.length === 0) {
      rest += last
    } else {
      parts[0] = rest + parts[0]
      rest = last
      yield parts.map(cutLine)
    }
    if (rest.length > charactersMax) {
      rest = ''
      isSkipping = true
    }
  }
  rest += decoder.decode()
  if (rest !== '' || isSkipping) yield [cutLine(rest)]
}

function trimEnd(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}
