import type { HealthAnswer } from '../api/answer.ts'
import { isWebAddress } from './format.ts'
import { Card } from './parts.tsx'

/** Before the first event: what to do so that there is one. */
export function FirstSteps({ health }: { readonly health: HealthAnswer }) {
  const { collectorUrl } = health
  const collector = collectorUrl ?? 'https://YOUR-COLLECTOR'
  const tag = `<script src="${collector}/divolte.js" defer async></script>`
  const post = `curl -H 'content-type: application/json' -d '{"events":[{"eventType":"hello"}]}' ${collector}/events`
  return (
    <Card title="No events yet" className="wide">
      <p>Send the first one and it appears here by itself. Any of these will do:</p>
      <ol class="first-steps">
        <li>
          Put the tag on a page of yours:
          <pre>
            <code>{tag}</code>
          </pre>
        </li>
        {collectorUrl !== null && isWebAddress(collectorUrl) && (
          <li>
            Open the collector’s demo page:{' '}
            <a href={collectorUrl} rel="noreferrer noopener">
              {collectorUrl}
            </a>
          </li>
        )}
        <li>
          Send one by hand:
          <pre>
            <code>{post}</code>
          </pre>
        </li>
        <li>
          Bring what you have: <code>millrace import FILE --format tsv</code>
        </li>
      </ol>
    </Card>
  )
}
