import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { backupBytes, packBackup } from '../export/archive.ts'
import { makeBackup } from '../export/take-along.ts'
import { readParameters } from '../query/query.ts'
import { queryTextOf, type TakeAlongContext } from './export.ts'

/** GET /api/backup: the store of a running system, in one moment of it, as a tar file. */
export function addBackupRoutes(app: FastifyInstance, context: TakeAlongContext): void {
  const { takeAlong, files, onError, signal } = context
  const schema = {
    summary: 'A backup of the running system as a tar file; millrace restore takes it',
    response: { 200: { description: 'application/x-tar', type: 'string', format: 'binary' } },
  }
  app.get('/api/backup', { schema }, async (request, reply) => {
    readParameters(queryTextOf(request), {})
    const giveBack = files.take()
    const folder = join(takeAlong.temp, randomUUID())
    const end = async (): Promise<void> => {
      await rm(folder, { recursive: true, force: true })
      giveBack()
    }
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    try {
      const manifest = await makeBackup(takeAlong, folder, AbortSignal.any([signal, gone.signal]))
      const stream = Readable.from(packBackup(folder, manifest))
        .once('close', () => void end().catch(onError))
        .once('error', onError)
      return await reply
        .header('cache-control', 'no-store')
        .header('content-length', backupBytes(manifest))
        .type('application/x-tar')
        .send(stream)
    } catch (thrown) {
      await end()
      throw thrown
    }
  })
}
