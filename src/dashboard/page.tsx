import { render } from 'preact'
import { Shell } from './shell.tsx'
import { applyTheme, storedTheme } from './theme.ts'

/** The way in: what index.html loads. */

applyTheme(storedTheme())
const place = document.getElementById('page')
if (place !== null) render(<Shell hasLogin={document.body.dataset['login'] === 'yes'} />, place)
