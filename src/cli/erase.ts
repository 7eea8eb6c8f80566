import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { ErasureAnswer, ErasuresAnswer } from '../api/answer.ts'
import { connectApi } from './client.ts'
import { type CommonFlags, configOf, createCommand } from './options.ts'

interface EraseFlags extends CommonFlags {
  readonly yes?: boolean
  readonly receipt?: boolean
  readonly json?: boolean
}

/** `millrace erase`: deletes a party everywhere, and says where something of it may still be. */
export function eraseCommand(): Command {
  return createCommand('erase', 'Erase a party and print the receipt')
    .argument('<party>', 'its id, as millrace events prints it')
    .option('--yes', 'do not ask')
    .option('--receipt', 'erase nothing, show the receipts of its erasures')
    .option('--json', 'print JSON, a line for each receipt')
    .action(async (party: string, flags: EraseFlags) => {
      const api = await connectApi(await configOf(flags))
      const print = (receipt: ErasureAnswer): void => {
        process.stdout.write(
          flags.json === true ? `${JSON.stringify(receipt)}\n` : describeReceipt(receipt),
        )
      }
      if (flags.receipt === true) {
        const query = new URLSearchParams({ party })
        const { erasures } = await api.json<ErasuresAnswer>(`/api/erasures?${query}`)
        if (erasures.length === 0) process.stderr.write('this party was not erased\n')
        for (const receipt of erasures) print(receipt)
        return
      }
      if (flags.yes !== true && !(await isMeant())) {
        process.stderr.write('nothing was erased; --yes erases without asking\n')
        process.exitCode = 1
        return
      }
      const path = `/api/parties/${encodeURIComponent(party)}/erase`
      print(await api.json<ErasureAnswer>(path, { method: 'POST' }))
    })
}

async function isMeant(): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await lines.question('This cannot be taken back. Type erase to go on: ')
  lines.close()
  return answer.trim() === 'erase'
}

const names = {
  events: 'events, open and closed days',
  repeats: 'repeated receipts of them',
  claims: 'times kept for a wrong clock',
  deadLetters: 'dead letters that name it',
  log: 'event log',
  backups: 'backups and exports',
} as const

function describeReceipt({ party, at, state, finalAt, places, dropped }: ErasureAnswer): string {
  const rows = places.map(({ place, state: left, rows: count, expiresAt }) => {
    const what =
      left === 'deleted'
        ? count === null
          ? 'deleted'
          : `${count.toLocaleString('en')} deleted`
        : left === 'expires'
          ? `expires by ${expiresAt?.slice(0, 16).replace('T', ' ')} UTC`
          : 'your own copy: delete it yourself'
    return `  ${names[place].padEnd(30)} ${what}`
  })
  const isNothing = places.every(({ rows: count }) => (count ?? 0) === 0)
  const lines = [
    `erasure of ${at}, party kept as hash ${party}`,
    ...rows,
    ...(isNothing ? ['  nothing was found in the store'] : []),
    ...(dropped > 0
      ? [`  ${dropped.toLocaleString('en')} records came again since and were dropped`]
      : []),
    state === 'final'
      ? `final since ${finalAt}: nothing is left on disk but where a date stands`
      : 'pending: the log is not read to the time of the erasure; millrace erase PARTY --receipt shows when it is final',
  ]
  return `${lines.join('\n')}\n`
}
