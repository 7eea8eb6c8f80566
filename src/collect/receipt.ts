import type { Event, Privacy } from '../event/event.ts'
import type { AgentReader } from './enrich.ts'
import type { EventOptions } from './options.ts'

/** What is known of a request besides what it says itself: all that an event or a rejection keeps. */
export interface Receipt {
  /** ms since 1970. */
  readonly receivedAt: number
  /** As it may be stored. */
  readonly remoteAddress: string
  /** From the whole address. */
  readonly country: string | null
  /** Cut at the limit. */
  readonly userAgent: string | null
  /** What the headers, or the site, say. */
  readonly privacy: Privacy | null
}

/** What turns a request into an event, besides the request. */
export interface EventMaking {
  readonly options: EventOptions
  readonly readAgent: AgentReader
  /** Makes an id for an event that came without one. */
  readonly createEventId: () => string
  /** Holds an event against its schema; see event-schema.ts. */
  readonly conform?: ((event: Event) => Event) | undefined
}

/** Cuts a text at a number of characters, never in the middle of one. */
export function cut(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text
  const last = text.charCodeAt(charactersMax - 1)
  const splits = last >= 0xd800 && last < 0xdc00
  return text.slice(0, splits ? charactersMax - 1 : charactersMax)
}

/**
 * True for a text that can be an identifier: not empty, not too long, without control characters,
 * which would make two identifiers look like one.
 */
export function isIdentifierText(text: string, charactersMax: number): boolean {
  return text !== '' && text.length <= charactersMax && !controlCharacter.test(text)
}

const controlCharacter = /[\x00-\x1f\x7f]/

/** The item that an event is about: the text of one of its parameters. */
export function itemIdOf(parameters: unknown, name: string, charactersMax: number): string | null {
  if (typeof parameters !== 'object' || parameters === null || !Object.hasOwn(parameters, name)) {
    return null
  }
  const value = (parameters as Record<string, unknown>)[name]
  let text = ''
  if (typeof value === 'string') text = value
  else if (typeof value === 'number' || typeof value === 'boolean') text = String(value)
  else if (JSON.isRawJSON(value)) text = JSON.stringify(value)
  return text === '' ? null : cut(text, charactersMax)
}

declare global {
  interface JSON {
    /** True for what `JSON.rawJSON` made. */
    isRawJSON(value: unknown): boolean
  }
}
