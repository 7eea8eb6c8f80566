import type { IncomingHttpHeaders } from 'node:http'

const forwardingHeaders = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via']

/** True when a proxy says that it has passed the request on, from whoever that was. */
export function isForwarded(headers: IncomingHttpHeaders): boolean {
  return forwardingHeaders.some((name) => headers[name] !== undefined)
}
