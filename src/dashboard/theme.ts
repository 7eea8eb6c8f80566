/** Light or dark: as the system says, until the reader says otherwise. */

export type Theme = 'light' | 'dark'

const key = 'millrace-theme'

/** What the reader chose earlier; undefined is the system's. */
export function storedTheme(): Theme | undefined {
  try {
    const text = localStorage.getItem(key)
    return text === 'light' || text === 'dark' ? text : undefined
  } catch {
    // A browser that keeps nothing.
    return undefined
  }
}

/** What is shown now. */
export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset['theme']
  if (chosen === 'light' || chosen === 'dark') return chosen
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
}

/** Shows and keeps a choice. One that is the system's own is no choice: it follows the system again. */
export function chooseTheme(theme: Theme): void {
  const isSystem = matchMedia('(prefers-color-scheme: dark)').matches === (theme === 'dark')
  applyTheme(isSystem ? undefined : theme)
  try {
    if (isSystem) localStorage.removeItem(key)
    else localStorage.setItem(key, theme)
  } catch {
    // Then it holds for this page only.
  }
}

export function applyTheme(theme: Theme | undefined): void {
  if (theme === undefined) delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}
