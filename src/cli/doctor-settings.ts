import type { Config } from '../config.ts'
import { isLoopbackHost } from '../config.ts'
import { type Finding, fine, warning } from './doctor-finding.ts'

/** Settings that are valid and may still not be meant. */
export function* checkSettings({ collect, api, log, store }: Config): Generator<Finding> {
  const names = api.allowedHosts.filter((name) => !isLoopbackHost(name.replace(/:\d+$/, '')))
  if (isLoopbackHost(api.host) && api.token === undefined && names.length > 0) {
    yield warning(
      'API host',
      `${api.host} is for this machine, and yet is to be asked as ${names.join(', ')}, without a token`,
      'Set MILLRACE_API_TOKEN: what a proxy passes on is refused without',
    )
  } else if (isLoopbackHost(api.host)) {
    yield fine('API host', `${api.host}: this machine only`)
  } else {
    yield warning(
      'API host',
      `${api.host} can be reached from other machines, with a token, over plain HTTP`,
      'Put a proxy with https before it, or reach it through an ssh tunnel',
    )
  }
  if (isLoopbackHost(collect.host)) {
    yield fine('collector host', `${collect.host}: this machine, or a proxy on it`)
  } else {
    yield warning(
      'collector host',
      `${collect.host} can be reached from other machines, over plain HTTP`,
      'Put a proxy with https before it: pages on https cannot send to http',
    )
  }
  if (collect.publicPages) {
    yield warning(
      'public pages',
      'everybody can see the demo page and the metrics',
      'Unset collect.publicPages where the collector is public',
    )
  }
  const isAny = collect.allowedOrigins.includes('*')
  yield fine(
    'allowed origins',
    isAny
      ? 'any page may send events, as anybody may send a GET'
      : collect.allowedOrigins.join(', '),
  )
  if (log.retentionDays >= store.retentionDays) {
    yield warning(
      'retention',
      `the log keeps ${log.retentionDays} days, the store ${store.retentionDays}`,
      'A replay would bring back days that the store has let go: keep the log shorter',
    )
  } else {
    yield fine(
      'retention',
      `the log keeps ${log.retentionDays} days, the store ${store.retentionDays}`,
    )
  }
}
