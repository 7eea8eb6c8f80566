import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { bundleDashboard } from '../src/api/bundle.ts'

/** Builds `dist` for publishing: JavaScript and types by tsc, and the files that pages are made of. */
rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
for (const file of globSync('src/**/*.{html,svg}')) cpSync(file, file.replace(/^src/, 'dist'))
// The published dashboard is a bundle: those who install the package build nothing.
mkdirSync('dist/dashboard', { recursive: true })
const bundle = await bundleDashboard(new URL('../src/dashboard/', import.meta.url))
for (const [name, text] of Object.entries(bundle)) writeFileSync(`dist/dashboard/${name}`, text)
chmodSync('dist/cli/millrace.js', 0o755)
