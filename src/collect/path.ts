/**
 * The path that a request means, as Divolte understands it: `/x/../csc-event`, `//csc-event` and
 * `/csc-event/` are `/csc-event`. Also takes the whole URL that a proxy may send.
 */
export function canonicalPath(target: string): string {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '')
  const kept: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') kept.pop()
    else if (part !== '' && part !== '.') kept.push(part)
  }
  return `/${kept.join('/')}`
}
