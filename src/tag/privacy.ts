/** What the tag asks of a browser about the wish of the person in front of it. */
interface PrivacySignals {
  readonly navigator: {
    /** https://w3c.github.io/gpc/ */
    readonly globalPrivacyControl?: boolean
    /** https://www.w3.org/TR/tracking-dnt/ : '1' is the wish not to be tracked. */
    readonly doNotTrack?: string | null
    readonly msDoNotTrack?: string | null
  }
  readonly doNotTrack?: string | null
}

/**
 * True when the person wants no party to be known: Global Privacy Control or Do Not Track. Asked
 * once, when the tag starts: browsers give a page one answer for its whole life.
 */
export function isPartyRefused(page: PrivacySignals): boolean {
  const { globalPrivacyControl, doNotTrack, msDoNotTrack } = page.navigator
  return !!globalPrivacyControl || [doNotTrack, msDoNotTrack, page.doNotTrack].includes('1')
}
