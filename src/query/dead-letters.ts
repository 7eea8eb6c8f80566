import { createDecoder, type Decoder, rejectionRecordSchema } from '../event/record.ts'
import type { DeadLetterPage, Position, StoredDeadLetter } from '../store/store.ts'
import {
  limitFallback,
  type ParameterNotes,
  parseLimit,
  type QueryContext,
  type QueryStore,
  readParameters,
} from './query.ts'
import { invalidToken, questionKey, readToken, writeToken } from './token.ts'

/** What could not be stored, newest first. */
export interface DeadLettersQuestion {
  readonly limit: number
  readonly code: string | undefined
  readonly after: Position | undefined
  readonly key: string
}

export type DeadLetterRow = StoredDeadLetter

export const deadLettersParameters: ParameterNotes = {
  code: { description: 'Only those with this code', type: 'string', example: 'parameter_missing' },
  limit: { description: 'Most dead letters in the answer', type: 'integer', default: 100 },
  after: { description: 'Go on from here: `next` of the answer before', type: 'string' },
}

const chunkRowsMax = 200

/**
 * @throws MillraceError `question_invalid`, `token_foreign`
 */
export function parseDeadLetters(queryText: string, context: QueryContext): DeadLettersQuestion {
  const parameters = readParameters(queryText, deadLettersParameters)
  const code = parameters.get('code')
  const key = questionKey('deadLetters', [code ?? null])
  const token = parameters.get('after')
  return {
    limit: parseLimit(parameters, context.rowsMax) ?? limitFallback(context.rowsMax),
    code,
    key,
    after: token === undefined ? undefined : readPlace(key, token),
  }
}

/** Where the answer goes on after `letter`. */
export function tokenAfterLetter(question: DeadLettersQuestion, letter: DeadLetterRow): string {
  const { log, topic, partition, offset } = letter.position
  return writeToken(question.key, [log, topic, partition, offset])
}

function readPlace(key: string, token: string): Position {
  const [log, topic, partition, offset] = readToken(key, token)
  if (
    typeof log !== 'string' ||
    typeof topic !== 'string' ||
    !Number.isSafeInteger(partition) ||
    !Number.isSafeInteger(offset)
  ) {
    throw invalidToken()
  }
  return { log, topic, partition: partition as number, offset: offset as number }
}

/** The dead letters, a chunk at a time; ends after `rowsMax`. */
export async function* askDeadLetters(
  store: QueryStore,
  question: Pick<DeadLettersQuestion, 'code' | 'after'>,
  rowsMax: number,
): AsyncGenerator<readonly DeadLetterRow[], void, undefined> {
  let left = rowsMax
  let after = question.after
  while (left > 0) {
    const limit = Math.min(chunkRowsMax, left)
    const page: DeadLetterPage = {
      limit,
      ...(after !== undefined && { after }),
      ...(question.code !== undefined && { code: question.code }),
    }
    const letters = await store.deadLetters(page)
    if (letters.length > 0) yield letters
    if (letters.length < limit) return
    left -= letters.length
    after = letters.at(-1)?.position
  }
}

/** A dead letter's record as a person can read it. */
export interface ReadableBody {
  /** The query string or JSON that was refused; else the bytes of the record in hex. */
  readonly body: string
  readonly encoding: 'text' | 'hex'
  /** Whether more was there than `body` shows. */
  readonly truncated: boolean
}

/** Bytes shown of a record that nobody can read: enough to know its framing and its schema id. */
const hexBytesMax = 4_096

/** Turns dead letters into what can be read. */
export type BodyReader = (letter: DeadLetterRow) => Promise<ReadableBody>

/**
 * @param schemaText the text of a schema by its fingerprint, for requests refused by older versions
 */
export function createBodyReader(
  schemaText: (fingerprint: string) => Promise<string | undefined>,
): BodyReader {
  const current = createDecoder(rejectionRecordSchema.text)
  const decoderOf = async (fingerprint: string): Promise<Decoder | undefined> => {
    if (fingerprint === rejectionRecordSchema.fingerprint) return current
    const text = fingerprint === '' ? undefined : await schemaText(fingerprint)
    return text === undefined ? undefined : createDecoder(text)
  }
  return async (letter) => {
    try {
      const decoder = letter.source === 'log' ? undefined : await decoderOf(letter.schema)
      if (decoder === undefined) return hexOf(letter.value)
      const { body, truncated } = decoder.rejection(letter.value)
      return { body, encoding: 'text', truncated }
    } catch {
      return hexOf(letter.value)
    }
  }
}

function hexOf(value: Uint8Array): ReadableBody {
  return {
    body: Buffer.from(value.subarray(0, hexBytesMax)).toString('hex'),
    encoding: 'hex',
    truncated: value.byteLength > hexBytesMax,
  }
}
