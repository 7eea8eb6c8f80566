// Asks a health address and ends with 0 for a good answer. The image has no curl, and Node is there.
const [url = ''] = process.argv.slice(2)
// biome-ignore lint/style/noProcessEnv: it runs beside Millrace, not in it
const token = process.env.MILLRACE_API_TOKEN
const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
const ok = await fetch(url, { headers, signal: AbortSignal.timeout(4_000) }).then(
  (answer) => answer.ok,
  () => false,
)
process.exit(ok ? 0 : 1)
