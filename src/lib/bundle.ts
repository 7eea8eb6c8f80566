import { type BuildOptions, build, type OutputFile, stop } from 'esbuild'

/** What differs from one bundle to the next. */
export type BundleOptions = Pick<
  BuildOptions,
  'stdin' | 'entryPoints' | 'outdir' | 'format' | 'target' | 'define' | 'external'
> &
  Pick<BuildOptions, 'jsx' | 'jsxImportSource' | 'legalComments'>

let underWay = 0

/**
 * A bundle for browsers, minified, in memory. It depends on its sources alone, not on a tsconfig.json
 * that may lie about.
 * @throws esbuild's own error for sources that cannot be built
 */
export async function bundle(options: BundleOptions): Promise<readonly OutputFile[]> {
  underWay++
  try {
    const settings = { bundle: true, write: false, minify: true, tsconfigRaw: '{}' } as const
    return (await build({ ...options, ...settings, logLevel: 'silent' })).outputFiles
  } finally {
    // Its process would live as long as ours and hold every file that we had open when it began: a
    // segment of the log that is freed would keep its place on the disk. (`buildSync` leaves one too.)
    if (--underWay === 0) await stop()
  }
}
