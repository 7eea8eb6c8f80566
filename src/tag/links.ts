import type { TagCore } from './tag.ts'

const downloads =
  /\.(pdf|docx?|xlsx?|pptx?|odt|ods|csv|txt|zip|gz|7z|rar|dmg|exe|msi|apk|epub|mp[34])$/i

/**
 * Sends `outbound` and `download` with the address of a link that is followed, and `formSubmit` for
 * a form that asks for it by `data-millrace-form="its name"`. What is typed into a form is not read.
 */
export function links({ page, tag }: TagCore): void {
  function follow({ target }: Event): void {
    const link = (target as Element | null)?.closest?.<HTMLAnchorElement>('a[href]')
    if (!link || !/^https?:$/.test(link.protocol)) return
    if (downloads.test(link.pathname)) tag.signal('download', { url: link.href })
    else if (link.host !== page.location.host) tag.signal('outbound', { url: link.href })
  }

  const { document } = page
  document.addEventListener('click', follow, true)
  // The middle button opens a tab without a click.
  document.addEventListener('auxclick', (event) => event.button === 1 && follow(event), true)
  document.addEventListener(
    'submit',
    ({ target }) => {
      const name = (target as Element).getAttribute('data-millrace-form')
      if (name !== null) tag.signal('formSubmit', { form: name })
    },
    true,
  )
}
