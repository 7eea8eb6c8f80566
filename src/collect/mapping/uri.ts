/**
 * The parts of a URI by the rules of RFC 2396 as `java.net.URI` keeps them. A part that is not there
 * is undefined; one that is empty is ''.
 */
export interface Uri {
  readonly scheme: string | undefined
  /** Undefined too for a host that is no name by the rules, such as `my_host`. */
  readonly host: string | undefined
  /** Only where the URI says one. */
  readonly port: number | undefined
  /** With its escapes undone. */
  readonly path: string | undefined
  readonly rawPath: string | undefined
  readonly query: string | undefined
  readonly rawQuery: string | undefined
  readonly fragment: string | undefined
  readonly rawFragment: string | undefined
}

// Beside ASCII, Java takes what is neither a control nor a space.
const other = '[^\\x00-\\xa0\\p{Zs}\\p{Zl}\\p{Zp}]'
const escaped = '%[0-9A-Fa-f]{2}'
const unreserved = "A-Za-z0-9_.!~*'()\\-"
const pathCharacter = `(?:[${unreserved}:@&=+$,;/]|${escaped}|${other})`
const uriCharacter = `(?:[${unreserved};/?:@&=+$,[\\]]|${escaped}|${other})`

const whole = new RegExp(
  `^(?:(?<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?=[^#]))?` +
    `(?://(?<authority>(?:[${unreserved};:@&=+$,[\\]]|${escaped}|${other})*))?` +
    `(?<path>${pathCharacter}*)(?:\\?(?<query>${uriCharacter}*))?(?:#(?<fragment>${uriCharacter}*))?$`,
  'u',
)
const opaque = new RegExp(
  `^(?<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?!/)${uriCharacter}+(?:#(?<fragment>${uriCharacter}*))?$`,
  'u',
)
const server =
  /^(?:[^@[\]]*@)?(?<host>(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+(?:%[\w]+)?\])(?::(?<port>\d*))?$/

/** Undefined for an absent text and for one that is no URI, such as one with a space in it. */
export function parseUri(text: string | null | undefined): Uri | undefined {
  if (text === null || text === undefined) return
  const beyond = opaque.exec(text)?.groups
  if (beyond !== undefined) return { ...nothing, scheme: beyond['scheme'], ...fragmentOf(beyond) }
  const parts = whole.exec(text)?.groups
  if (parts === undefined) return
  const { scheme, authority, path = '', query: rawQuery } = parts
  // `//` alone and `http://` end before the authority that they announce.
  if (authority === '' && path === '') return
  const { host, port } = server.exec(authority ?? '')?.groups ?? {}
  return {
    scheme,
    host,
    port: port === undefined || port === '' ? undefined : Number(port),
    path: unescaped(path),
    rawPath: path,
    query: unescaped(rawQuery),
    rawQuery,
    ...fragmentOf(parts),
  }
}

const nothing: Uri = {
  scheme: undefined,
  host: undefined,
  port: undefined,
  path: undefined,
  rawPath: undefined,
  query: undefined,
  rawQuery: undefined,
  fragment: undefined,
  rawFragment: undefined,
}

type Fragment = Pick<Uri, 'fragment' | 'rawFragment'>

function fragmentOf({ fragment }: Readonly<Record<string, string | undefined>>): Fragment {
  return { fragment: unescaped(fragment), rawFragment: fragment }
}

/** Escapes that are no UTF-8 become U+FFFD. */
function unescaped(text: string): string
function unescaped(text: string | undefined): string | undefined
function unescaped(text: string | undefined): string | undefined {
  return text?.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  )
}

/**
 * The parameters of a query string, in the order of their first appearance: `+` and escapes undone, a
 * name without `=` has the value ''. Undefined for an absent query.
 */
export function parseQuery(
  rawQuery: string | undefined,
): ReadonlyMap<string, string[]> | undefined {
  if (rawQuery === undefined) return
  const values = new Map<string, string[]>()
  for (const pair of rawQuery.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = plain(equals < 0 ? pair : pair.slice(0, equals))
    const value = equals < 0 ? '' : plain(pair.slice(equals + 1))
    const list = values.get(name)
    if (list === undefined) values.set(name, [value])
    else list.push(value)
  }
  return values
}

function plain(text: string): string {
  return unescaped(text.replaceAll('+', ' '))
}
