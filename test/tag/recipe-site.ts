import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { compileScript, parse } from 'vue/compiler-sfc'

/** The recipes of docs/recipes.md as a user would have them: their files, bundled, on a site. */

const text = readFileSync('docs/recipes.md', 'utf8')

/** Every block that begins with the name of its file, without that line. */
export const recipeFiles: ReadonlyMap<string, string> = new Map(
  [...text.matchAll(/```\w+\n(?:\/\/|<!--) ([\w./-]+)(?: -->)?\n([\s\S]*?)```/g)].map(
    ([, name = '', body = '']) => [name, body],
  ),
)

/** The text of the recipe's file, with the collector of the test. */
export function recipeFile(name: string, collectorUrl: string): string {
  const body = recipeFiles.get(name)
  if (body === undefined) throw new Error(`docs/recipes.md has no file ${name}`)
  return body.replaceAll('https://events.example.com', collectorUrl)
}

/** The policy of the recipe, with the collector of the test. */
export function recipePolicy(collectorUrl: string): string {
  const [, policy] = /^Content-Security-Policy: (.*)$/m.exec(text) ?? []
  if (policy === undefined) throw new Error('docs/recipes.md has no policy')
  return policy.replaceAll('https://events.example.com', collectorUrl)
}

/** Bundles `entry`, which may import the recipes' files as they import each other. */
export async function bundleRecipe(
  entry: string,
  collectorUrl: string,
  platform: 'browser' | 'node' = 'browser',
): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: resolve('.'), loader: 'tsx' },
    bundle: true,
    write: false,
    platform,
    format: platform === 'node' ? 'esm' : 'iife',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    external: platform === 'node' ? ['react', 'react-dom', 'react/jsx-runtime'] : [],
    plugins: [recipes(collectorUrl)],
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
}

function recipes(collectorUrl: string): Plugin {
  return {
    name: 'recipes',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^millrace\/tag/ }, ({ path }) => {
        const module = path.replace(/^millrace\/tag\/?/, '') || 'module'
        return { path: resolve(`src/tag/${module}.ts`) }
      })
      onResolve({ filter: /^recipe:|^\.\/(tag|millrace|app\.vue)$/ }, ({ path }) => {
        const name = path.replace(/^recipe:|^\.\//, '')
        const known = [name, ...['src', 'app'].flatMap((folder) => inFolder(folder, name))]
        const found = known.find((one) => recipeFiles.has(one))
        return found === undefined ? undefined : { path: found, namespace: 'recipe' }
      })
      onLoad({ filter: /./, namespace: 'recipe' }, ({ path }) => {
        const body = recipeFile(path, collectorUrl)
        const isVue = path.endsWith('.vue')
        const contents = isVue ? compileVue(body, path) : body
        const loader = path.endsWith('.tsx') ? 'tsx' : 'ts'
        return { contents, loader, resolveDir: resolve('.') }
      })
    },
  }
}

function inFolder(folder: string, name: string): string[] {
  return ['', '.ts', '.tsx'].map((ending) => `${folder}/${name}${ending}`)
}

function compileVue(body: string, filename: string): string {
  const { descriptor, errors } = parse(body, { filename })
  if (errors.length > 0) throw errors[0]
  return compileScript(descriptor, { id: 'recipe', inlineTemplate: true }).content
}

/** A page of the site. */
export interface SitePage {
  readonly html: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A site with another origin than the collector's. */
export interface RecipeSite {
  readonly origin: string
  /** Serves `page` at `path`, and everything below it, as a single-page application has it. */
  set(path: string, page: SitePage): void
  close(): Promise<void>
}

export async function openRecipeSite(): Promise<RecipeSite> {
  const pages = new Map<string, SitePage>([
    ['/empty', { html: '' }],
    ['/favicon.ico', { html: '' }],
  ])
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site')
    const found = [...pages].find(([path]) => pathname === path || pathname.startsWith(`${path}/`))
    const type = pathname.endsWith('.js') ? 'text/javascript' : 'text/html'
    response.writeHead(found === undefined ? 404 : 200, {
      'Content-Type': `${type}; charset=utf-8`,
      ...found?.[1].headers,
    })
    response.end(found?.[1].html ?? '')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (path, page) => pages.set(path, page),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
