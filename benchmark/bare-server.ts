import { createServer } from 'node:http'

/** The floor: a bare node:http server that answers the GIF and does nothing else. Prints its port. */
const gif = Buffer.from(
  '4749463839610100010000000021f904010a0001002c00000000010001000002024c01003b',
  'hex',
)
const headers = {
  'Content-Type': 'image/gif',
  'Content-Length': String(gif.length),
  ETag: '"6b3edc43-20ec-4078-bc47-e965dd76b88a"',
  'Cache-Control': 'private, no-cache, proxy-revalidate',
  Pragma: 'no-cache',
  Expires: 'Fri, 14 Apr 1995 11:30:00 GMT',
}
const server = createServer((_request, response) => {
  response.writeHead(200, headers).end(gif)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' && address ? address.port : 0}\n`)
})
process.once('SIGTERM', () => process.exit(0))
