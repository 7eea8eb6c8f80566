import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { hourMs, minuteMs } from '../../src/lib/clock.ts'
import { bearer, now, runToken, type Scene, sceneOf, token } from './scene.ts'

const replay = { method: 'POST', body: { from: 'earliest' } } as const

async function codeOf(
  scene: Scene,
  path: string,
  headers: Record<string, string>,
  ask = {},
): Promise<string | number> {
  const answer = await scene.ask(path, { ...ask, headers })
  return answer.json?.error?.code ?? answer.status
}

describe('the Host of a request', () => {
  it('is the address that it came in on, or a name of loopback, with the port', async (t) => {
    const scene = await sceneOf(t)
    const { port } = scene.api
    for (const host of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      `LOCALHOST:${port}`,
      `[::1]:${port}`,
    ]) {
      assert.equal(await codeOf(scene, '/api/health', { host }), 200, host)
    }
    const foreign = [
      `evil.example:${port}`,
      'evil.example',
      'localhost',
      'localhost:1',
      `localhost.:${port}`,
      `127.0.0.1.evil.example:${port}`,
      `evil@localhost:${port}`,
      `192.168.0.1:${port}`,
    ]
    for (const host of foreign) {
      assert.equal(await codeOf(scene, '/api/health', { host }), 'host_refused', host)
      assert.equal(await codeOf(scene, '/', { host }), 'host_refused', host)
      assert.equal(await codeOf(scene, '/nothing', { host }), 'host_refused', host)
    }
  })

  it('must be given', async (t) => {
    const { api } = await sceneOf(t)
    for (const lines of ['GET / HTTP/1.0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: \r\n\r\n']) {
      const socket = connect(api.port, api.host).setEncoding('utf8')
      socket.end(lines)
      let text = ''
      for await (const chunk of socket) text += chunk
      assert.match(text, /^HTTP\/1\.1 403 [\s\S]*host_refused[\s\S]*none was given/)
    }
  })

  it('may be an allowed one, with any port or with the one that is named', async (t) => {
    const scene = await sceneOf(t, {
      allowedHosts: ['Stats.example', 'other.example:8443', 'fd00::1'],
    })
    const answers = {
      'stats.example': 200,
      'stats.example:443': 200,
      'other.example:8443': 200,
      '[fd00::1]:9': 200,
      'other.example': 'host_refused',
      'x.stats.example': 'host_refused',
    }
    for (const [host, expected] of Object.entries(answers)) {
      assert.equal(await codeOf(scene, '/api/health', { host }), expected, host)
    }
  })

  it('of a request that a proxy has passed on is served with a token only', async (t) => {
    const open = await sceneOf(t, { allowedHosts: ['stats.example'] })
    const closed = await sceneOf(t, { token, allowedHosts: ['stats.example'] })
    const forwarding = [
      { 'x-forwarded-for': '203.0.113.7' },
      { forwarded: 'for=203.0.113.7' },
      { 'x-real-ip': '203.0.113.7' },
      { via: '1.1 proxy' },
    ]
    for (const forwarded of forwarding) {
      for (const headers of [forwarded, { ...forwarded, host: 'stats.example' }]) {
        assert.equal(await codeOf(open, '/api/health', headers), 'proxy_refused')
        assert.equal(await codeOf(open, '/', headers), 'proxy_refused')
        assert.equal(await codeOf(closed, '/api/events', headers), 'unauthorized')
        assert.equal(await codeOf(closed, '/api/events', { ...headers, ...bearer(token) }), 200)
      }
    }
    assert.equal(await codeOf(open, '/api/health', { host: 'stats.example' }), 200)
  })

  it('is checked before the token', async (t) => {
    const scene = await sceneOf(t, { token })
    const headers = { host: 'evil.example', ...bearer(token) }
    assert.equal(await codeOf(scene, '/api/health', headers), 'host_refused')
  })
})

describe('the Origin of a request', () => {
  it('when there is one, is our own or that of an allowed host', async (t) => {
    const scene = await sceneOf(t, { allowedHosts: ['stats.example'] })
    const { port } = scene.api
    for (const origin of [
      `http://127.0.0.1:${port}`,
      `http://localhost:${port}`,
      'https://stats.example',
    ]) {
      assert.equal(await codeOf(scene, '/api/health', { origin }), 200, origin)
    }
    const foreign = [
      'https://evil.example',
      'null',
      '',
      'http://localhost:8290',
      `ftp://127.0.0.1:${port}`,
      `http://127.0.0.1:${port}@evil.example`,
      'https://stats.example.evil.example',
    ]
    for (const origin of foreign) {
      assert.equal(await codeOf(scene, '/api/health', { origin }), 'api_origin_refused', origin)
      assert.equal(
        await codeOf(scene, '/api/replay', { origin }, replay),
        'api_origin_refused',
        origin,
      )
    }
  })

  it('must not be another site by Sec-Fetch-Site, but for a link that is followed', async (t) => {
    const scene = await sceneOf(t)
    const cross = { 'sec-fetch-site': 'cross-site' }
    assert.equal(await codeOf(scene, '/api/events', cross), 'api_origin_refused')
    assert.equal(await codeOf(scene, '/api/replay', cross, replay), 'api_origin_refused')
    const navigate = { ...cross, 'sec-fetch-mode': 'navigate' }
    assert.equal(await codeOf(scene, '/', navigate), 200)
    assert.equal(await codeOf(scene, '/api/replay', navigate, replay), 'api_origin_refused')
  })
})

describe('without a token', () => {
  it('anybody on this machine may read, but only the run token or our own page changes', async (t) => {
    const scene = await sceneOf(t)
    const own = `http://127.0.0.1:${scene.api.port}`
    assert.equal(await codeOf(scene, '/api/events', {}), 200)
    assert.equal(await codeOf(scene, '/api/replay', {}, replay), 'unauthorized')
    assert.equal(await codeOf(scene, '/api/replay', bearer('x'), replay), 'unauthorized')
    assert.equal(
      await codeOf(scene, '/api/replay', { 'sec-fetch-site': 'none' }, replay),
      'unauthorized',
    )
    assert.equal(await codeOf(scene, '/api/replay', bearer(runToken), replay), 200)
    assert.equal(await codeOf(scene, '/api/replay', { origin: own }, replay), 200)
    const sameSite = { origin: own, 'sec-fetch-site': 'same-site' }
    assert.equal(await codeOf(scene, '/api/replay', sameSite, replay), 'unauthorized')
    const sameOrigin = { origin: own, 'sec-fetch-site': 'same-origin' }
    assert.equal(await codeOf(scene, '/api/replay', sameOrigin, replay), 200)
  })

  it('there is no login', async (t) => {
    const { ask } = await sceneOf(t)
    const { status, headers } = await ask('/login')
    assert.equal(status, 303)
    assert.equal(headers.location, '/')
    assert.doesNotMatch((await ask('/')).text, /logout/)
  })
})

describe('with a token', () => {
  it('nothing but the login page is shown without it', async (t) => {
    const scene = await sceneOf(t, { token })
    for (const path of [
      '/api/events',
      '/api/health',
      '/api/openapi.json',
      '/api/live',
      '/nothing',
    ]) {
      const { status, headers, json } = await scene.ask(path)
      assert.equal(status, 401, path)
      assert.equal(json.error.code, 'unauthorized')
      assert.equal(headers['www-authenticate'], 'Bearer')
      for (const bad of ['x', token.slice(1), `${token}x`, token.toUpperCase()]) {
        assert.equal((await scene.ask(path, { headers: bearer(bad) })).status, 401)
      }
    }
    const own = { origin: `http://127.0.0.1:${scene.api.port}`, 'sec-fetch-site': 'same-origin' }
    assert.equal(await codeOf(scene, '/api/replay', own, replay), 'unauthorized')
    const page = await scene.ask('/', { headers: { accept: 'text/html' } })
    assert.equal(page.status, 303)
    assert.equal(page.headers.location, '/login')
    assert.equal((await scene.ask('/login')).status, 200)
    assert.equal((await scene.ask('/page.css')).status, 200)
    assert.equal((await scene.ask('/page.js')).status, 401)
  })

  it('the token and the run token open everything', async (t) => {
    const scene = await sceneOf(t, { token })
    for (const secret of [token, runToken]) {
      assert.equal(await codeOf(scene, '/api/events', bearer(secret)), 200)
      assert.equal(await codeOf(scene, '/', bearer(secret)), 200)
      assert.equal(await codeOf(scene, '/api/replay', bearer(secret), replay), 200)
    }
  })
})

describe('a login', () => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }

  async function logIn(
    scene: Scene,
    headers: Record<string, string> = {},
  ): Promise<{ cookie: string; flags: string }> {
    const answer = await scene.ask('/login', {
      method: 'POST',
      headers: { ...form, ...headers },
      body: `token=${encodeURIComponent(token)}`,
    })
    assert.equal(answer.status, 303)
    assert.equal(answer.headers.location, '/')
    const [text = ''] = answer.headers['set-cookie'] ?? []
    return { cookie: text.split(';')[0] ?? '', flags: text.slice(text.indexOf(';')) }
  }

  it('gives a session in a cookie that is not the token, and no script can read', async (t) => {
    const scene = await sceneOf(t, { token })
    const { cookie, flags } = await logIn(scene)
    assert.match(flags, /HttpOnly/)
    assert.match(flags, /SameSite=Strict/)
    assert.match(flags, /Path=\//)
    assert.doesNotMatch(flags, /Secure/)
    assert.ok(!cookie.includes(token))
    assert.equal(await codeOf(scene, '/api/events', { cookie }), 200)
    assert.equal(await codeOf(scene, '/', { cookie }), 200)
    assert.equal(await codeOf(scene, '/api/replay', { cookie }, replay), 200)
    const evil = { cookie, origin: 'https://evil.example' }
    assert.equal(await codeOf(scene, '/api/replay', evil, replay), 'api_origin_refused')
    const other = await logIn(scene)
    assert.notEqual(other.cookie, cookie)
  })

  it('over https gives a cookie that is sent over https only', async (t) => {
    const scene = await sceneOf(t, { token, allowedHosts: ['stats.example'] })
    const forwarded = await logIn(scene, { 'x-forwarded-proto': 'https' })
    assert.match(forwarded.flags, /Secure/)
    const byOrigin = await logIn(scene, { host: 'stats.example', origin: 'https://stats.example' })
    assert.match(byOrigin.flags, /Secure/)
  })

  it('ends by logout, and by itself after 12 hours', async (t) => {
    let time = now
    const scene = await sceneOf(t, { token }, { clock: () => time })
    const { cookie } = await logIn(scene)
    const second = await logIn(scene)
    const out = await scene.ask('/logout', { method: 'POST', headers: { ...form, cookie } })
    assert.equal(out.status, 303)
    assert.match(String(out.headers['set-cookie']), /Expires=Thu, 01 Jan 1970/)
    assert.equal(await codeOf(scene, '/api/events', { cookie }), 'unauthorized')
    time += 12 * hourMs - 1
    assert.equal(await codeOf(scene, '/api/events', { cookie: second.cookie }), 200)
    time += 1
    assert.equal(await codeOf(scene, '/api/events', { cookie: second.cookie }), 'unauthorized')
  })

  it('with a wrong token fails, and too many failures make all at the address wait who do not have it', async (t) => {
    let time = now
    const scene = await sceneOf(t, { token }, { clock: () => time })
    const attempt = (body: string, accept = 'text/html') =>
      scene.ask('/login', { method: 'POST', headers: { ...form, accept }, body })
    const wrong = await attempt('token=<script>')
    assert.equal(wrong.status, 401)
    assert.match(wrong.text, /That is not the token/)
    assert.ok(!wrong.text.includes('<script>'))
    assert.equal((await attempt('', 'application/json')).json.error.code, 'unauthorized')
    for (let n = 0; n < 8; n++) await attempt('token=x')
    const limited = await attempt('token=x')
    assert.equal(limited.status, 429)
    assert.equal(limited.headers['retry-after'], '60')
    assert.equal((await attempt('', 'application/json')).json.error.code, 'login_limited')
    assert.equal(await codeOf(scene, '/api/events', bearer(token)), 200)
    // Behind a proxy all have one address: its owner is not to be kept out by others.
    assert.equal((await attempt(`token=${token}`)).status, 303)
    time += minuteMs
    assert.equal((await attempt('token=x')).status, 401)
  })

  it('is not taken from a foreign page, nor with a body of another kind', async (t) => {
    const scene = await sceneOf(t, { token })
    const foreign = { ...form, origin: 'https://evil.example' }
    const body = `token=${token}`
    assert.equal(
      await codeOf(scene, '/login', foreign, { method: 'POST', body }),
      'api_origin_refused',
    )
    const xml = { 'content-type': 'text/xml' }
    assert.equal(
      await codeOf(scene, '/login', xml, { method: 'POST', body }),
      'content_type_unsupported',
    )
    const huge = { method: 'POST', body: 'x'.repeat(10_000) }
    assert.equal(await codeOf(scene, '/login', form, huge), 'question_too_large')
  })
})

describe('every answer', () => {
  it('forbids framing, sniffing, inline script and reading by other origins', async (t) => {
    const scene = await sceneOf(t)
    for (const path of ['/', '/page.js', '/api/events', '/api/nothing', '/%zz', '/login']) {
      const { headers } = await scene.ask(path)
      const policy = headers['content-security-policy'] ?? ''
      assert.match(
        String(policy),
        /default-src 'none'.*script-src 'self';.*frame-ancestors 'none'/,
        path,
      )
      assert.ok(!String(policy).includes('unsafe'))
      assert.equal(headers['x-content-type-options'], 'nosniff', path)
      assert.equal(headers['referrer-policy'], 'no-referrer', path)
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin', path)
      assert.equal(headers['access-control-allow-origin'], undefined, path)
    }
  })

  it('of the page is never older than its files', async (t) => {
    const { ask } = await sceneOf(t)
    const page = await ask('/')
    assert.match(page.headers['content-type'] ?? '', /text\/html/)
    assert.equal(page.headers['cache-control'], 'no-cache')
    const etag = page.headers.etag ?? ''
    assert.equal((await ask('/', { headers: { 'if-none-match': `"x", W/${etag}` } })).status, 304)
    assert.equal((await ask('/', { headers: { 'if-none-match': '"x"' } })).status, 200)
    // No inline script or style: the policy would block it.
    assert.doesNotMatch(page.text, /<script>|<style|\son\w+=|\sstyle=/)
    for (const [, path = ''] of page.text.matchAll(/(?:src|href)="(\/[^"]*)"/g)) {
      assert.equal((await ask(path)).status, 200, path)
    }
  })
})
