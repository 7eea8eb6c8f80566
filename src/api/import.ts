import type { FastifyInstance } from 'fastify'
import type { ImportBegunAnswer, ImportWrittenAnswer } from './answer.ts'
import { changeSchema, importBeginBody, importForgetBody } from './schema.ts'

/** The way of imported rows to the store: the command line reads the file, the owner writes. */

export interface ImportParts {
  /** Begins an import or goes on with one. */
  readonly begin: (request: {
    readonly log: string
    readonly days: readonly string[]
    readonly outsideRetention: boolean
  }) => Promise<ImportBegunAnswer>
  /** Writes a batch of rows, which only the importing side and the writing one look into. */
  readonly write: (body: Uint8Array) => Promise<ImportWrittenAnswer>
  /** Lets retention have the days that an import kept. */
  readonly forget: (log: string) => Promise<void>
  readonly bodyBytesMax: number
}

/** A batch has a type of its own: it is no JSON, and no other route takes it. */
const batchType = 'application/vnd.millrace.import'

export function addImportRoutes(app: FastifyInstance, parts: ImportParts): void {
  const begin = changeSchema('Begin an import, or go on with one', importBeginBody, 'importBegun')
  app.post('/api/imports', { schema: begin }, async (request, reply) => {
    const body = request.body as Parameters<ImportParts['begin']>[0]
    return reply.header('cache-control', 'no-store').send(await parts.begin(body))
  })
  const forget = changeSchema(
    'Let retention have the days that an import kept',
    importForgetBody,
    'importForgotten',
  )
  app.post('/api/imports/forget', { schema: forget }, async (request, reply) => {
    const { log } = request.body as { readonly log: string }
    await parts.forget(log)
    return reply.header('cache-control', 'no-store').send({ log })
  })
  app.register(async (scope) => {
    const parser = { parseAs: 'buffer', bodyLimit: parts.bodyBytesMax } as const
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(batchType, parser, (_request, body, done) => done(null, body))
    // Between two versions of Millrace there is no promise about these bytes: not in the document.
    scope.post(
      '/api/imports/rows',
      { schema: { hide: true }, bodyLimit: parts.bodyBytesMax },
      async (request, reply) =>
        reply
          .header('cache-control', 'no-store')
          .send(await parts.write(request.body as Uint8Array)),
    )
  })
}
