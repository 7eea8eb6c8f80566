import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, globSync, rmSync } from 'node:fs'

/** Builds `dist` for publishing: JavaScript and types by tsc, and the files that pages are made of. */
rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
for (const file of globSync('src/**/*.{html,css,js,svg}'))
  cpSync(file, file.replace(/^src/, 'dist'))
chmodSync('dist/cli/millrace.js', 0o755)
