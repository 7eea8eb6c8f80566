import type { Running } from './process.ts'

/** What a sender knows of each event that it sent, held against what the store says in the end. */
export interface Ledger {
  readonly sent: Set<string>
  /** Answered with 2xx. */
  readonly acknowledged: Set<string>
}

export interface Verdict {
  readonly sent: number
  readonly acknowledged: number
  readonly stored: number
  /** Acknowledged and not stored. */
  readonly lost: number
  /** Stored more than once. */
  readonly twice: number
  /** Stored and never sent. */
  readonly ghosts: number
}

/** Reads every event that the API has and counts them against the ledger. */
export async function judge(ledger: Ledger, running: Running): Promise<Verdict> {
  const stored = new Map<string, number>()
  const response = await fetch(`${running.apiUrl}/api/events?last=3d&bots=include`, {
    headers: { Accept: 'application/x-ndjson' },
  })
  if (!response.ok) throw new Error(await response.text())
  for (const line of (await response.text()).split('\n')) {
    if (line === '') continue
    const { partyId, eventId } = JSON.parse(line) as { partyId: string; eventId: string }
    const identity = `${partyId} ${eventId}`
    stored.set(identity, (stored.get(identity) ?? 0) + 1)
  }
  const lost = [...ledger.acknowledged].filter((identity) => !stored.has(identity)).length
  const ghosts = [...stored.keys()].filter((identity) => !ledger.sent.has(identity)).length
  const twice = [...stored.values()].filter((times) => times > 1).length
  const { size } = stored
  return {
    sent: ledger.sent.size,
    acknowledged: ledger.acknowledged.size,
    stored: size,
    lost,
    twice,
    ghosts,
  }
}
