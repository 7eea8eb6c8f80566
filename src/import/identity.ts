import { createHash, hash } from 'node:crypto'

/**
 * Ids of rows that have none. Each is a digest of all rows up to its own, so that a file that was cut
 * off and comes again whole, or one that has grown at its end, gives its rows the ids that they had,
 * and two equal rows of one file are still two events.
 */
export interface IdChain {
  /** The id of the next row, from its bytes or text. */
  readonly next: (row: string | Uint8Array) => string
}

/** 96 bits: among a billion rows two are equal with a probability of 10^-11. */
const idCharacters = 16

export function createIdChain(): IdChain {
  let digest = ''
  return {
    next(row) {
      digest =
        typeof row === 'string'
          ? hash('sha1', `${digest}\n${row}`, 'base64url')
          : createHash('sha1').update(`${digest}\n`).update(row).digest('base64url')
      return digest.slice(0, idCharacters)
    },
  }
}

/** What names the log of an import: a digest of the content and of the options that decide its rows. */
export function logOf(content: string, options: unknown): string {
  return `import:${hash('sha256', `${content}\n${JSON.stringify(options)}`, 'hex').slice(0, 40)}`
}

/** True for the name of a log that an import made: no other position may be moved through one. */
export function isImportLog(log: string): boolean {
  return /^import:[0-9a-f]{40}$/.test(log)
}

export const importTopic = 'import'
