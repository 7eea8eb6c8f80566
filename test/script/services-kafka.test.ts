import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServerProcess, endServers, runningServers } from '../../script/services/server.ts'
import { sharedKafka } from '../services.ts'

/** The life of a server, whatever it serves. */

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-services-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('a server that ends instead of answering is told with the end of its log', async (t) => {
  const folder = await temporaryFolder(t)
  const server = createServerProcess({
    name: 'broken',
    folder,
    args: ['no.such.MainClass'],
    isReady: async () => false,
  })
  await assert.rejects(server.start(), /broken ended:\n.*no\.such\.MainClass/s)
  assert.equal(server.pid, undefined)
})

test('the process of a pid file is ended only if it is a server of that folder', async (t) => {
  const folder = await temporaryFolder(t)
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  t.after(() => stranger.kill('SIGKILL'))
  await writeFile(join(folder, 'kafka-1.pid'), `${stranger.pid}`)
  assert.equal((await runningServers(folder)).size, 0)
  assert.deepEqual(await endServers(folder), [])
  assert.equal(stranger.exitCode, null)
  assert.equal(stranger.signalCode, null)
})

test('servers end with the process that started them, even when it is killed', async (t) => {
  await sharedKafka() // The jars are there.
  const folder = await temporaryFolder(t)
  const script = `
    import { startKafka } from ${JSON.stringify(join(import.meta.dirname, '../../script/services/kafka.ts'))}
    const { brokers } = await startKafka({ folder: ${JSON.stringify(folder)} })
    process.stdout.write(String(brokers[0].pid))
    setInterval(() => {}, 1000)
  `
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => starter.kill('SIGKILL'))
  const [output] = (await starter.stdout.take(1).toArray()) as [Buffer]
  assert.deepEqual([...(await runningServers(folder))], [['kafka-1', Number(`${output}`)]])
  starter.kill('SIGKILL')
  while ((await runningServers(folder)).size > 0) await sleep(20)
  assert.ok(existsSync(join(folder, 'kafka-1.pid')), 'nobody was there to remove it')
})
