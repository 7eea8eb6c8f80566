/** What one check found. */
export interface Finding {
  /** What was looked at: a stable name. */
  readonly check: string
  readonly level: 'ok' | 'warn' | 'fail'
  readonly text: string
  /** What to do; null where nothing is. */
  readonly advice: string | null
}

export function fine(check: string, text: string): Finding {
  return { check, level: 'ok', text, advice: null }
}

/** Nothing is lost, but somebody should look. */
export function warning(check: string, text: string, advice: string): Finding {
  return { check, level: 'warn', text, advice }
}

/** Events are not taken or stored, or data is in danger. */
export function failing(check: string, text: string, advice: string): Finding {
  return { check, level: 'fail', text, advice }
}

/** Bytes as people read them. */
export function sizeText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`
}
