/**
 * Runs several commands one after the other in one process, as starting one for each takes longer
 * than all of them. Argument: JSON of the lists of arguments. What each printed ends with a line of
 * its exit code after a NUL, on both streams.
 */
const { argv, stdout, stderr } = process
const [program = '', script = '', commands = '[]'] = argv
// Each command ends its process a moment after its work is done; here others still have theirs.
process.exit = (() => {}) as typeof process.exit
for (const [n, args] of (JSON.parse(commands) as string[][]).entries()) {
  process.argv = [program, script, ...args]
  process.exitCode = 0
  // The command line runs when it is loaded; with another query it is another module.
  await import(`../../src/cli/millrace.ts?${n}`)
  for (const stream of [stdout, stderr]) stream.write(`\0${process.exitCode}\n`)
}
process.exitCode = 0
