/** What a part of a path may not be: whoever resolves the address takes it away. */
export const noDots = 'no part of it may be . or ..'

export function hasNoDots(path: string): boolean {
  return !path.split('/').some((part) => part === '.' || part === '..')
}
