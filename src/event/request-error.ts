/** The errors of error.ts where the event or the request is at fault; see there for the shape. */
export const requestErrors = {
  query_too_long: [
    414,
    'The query string is longer than %s bytes',
    'Send less in the event parameters, or use POST /events',
  ],
  head_too_large: [
    431,
    'The request line and headers are larger than %s bytes',
    'Send less in the event parameters, or use POST /events',
  ],
  request_malformed: [400, 'The request is not HTTP: %s', 'Send HTTP/1.1'],
  request_timeout: [408, 'The request did not arrive in time', 'Send it whole and at once'],
  query_undecodable: [
    400,
    'The query string has a broken percent escape or a raw byte: %s',
    'Percent-encode every value as UTF-8',
  ],
  parameter_missing: [
    400,
    'A required parameter is missing: %s',
    'The tag sends p, s, v, e, c, n and f with every event; p, s, n and f may be left out only with g=1',
  ],
  parameter_invalid: [400, 'A parameter is not valid: %s', 'See docs: the wire format'],
  parameters_too_large: [
    413,
    "The event's own parameters exceed a limit: %s",
    'Send less, or raise collect.parametersBytesMax or collect.parametersDepthMax',
  ],
  body_too_large: [
    413,
    'The body is larger than %s bytes',
    'Send fewer events at a time, or raise collect.bodyBytesMax',
  ],
  body_not_json: [
    400,
    'The body is not JSON: %s',
    'Send {"events": [...]} or one event as application/json or text/plain',
  ],
  body_invalid: [
    400,
    'The body is neither an event nor a batch: %s',
    'Send {"events": [...]} or one event',
  ],
  content_type_unsupported: [
    415,
    'The content type is not supported: %s',
    'Send application/json, or text/plain with JSON',
  ],
  batch_too_large: [
    413,
    'The batch has more than %s events',
    'Send fewer events at a time, or raise collect.batchEventsMax',
  ],
  event_invalid: [400, 'The event is not valid: %s', 'docs/api.md lists the fields of an event'],
  event_schema: [
    400,
    'The event is not as its schema says: %s',
    'Mend the page, or the schema in collect.eventSchemas and replay the dead letter',
  ],
  origin_refused: [
    403,
    'Events from this origin are not accepted: %s',
    'Add the origin to collect.allowedOrigins',
  ],
  method_not_allowed: [
    405,
    'The method is not allowed here: %s',
    'The Allow header names the methods',
  ],
  module_unknown: [
    404,
    'The tag has no module %s',
    'docs/tag.md says what each module does; the names stand in modules= with commas between',
  ],
  not_found: [
    404,
    'There is nothing at %s',
    'The collector answers at /divolte.js, /csc-event, /events and /ping; the paths of the API are in its /api/openapi.json',
  ],
  shop_absent: [
    404,
    'The example shop is not installed: %s',
    'It is in the folder example/shop of the repository; start Millrace from a clone to see it',
  ],
  rate_limited: [
    429,
    'Too many requests from %s',
    'Slow down, or raise collect.requestsPerSecondMax; behind a proxy set collect.trustedProxies',
  ],
  overloaded: [
    503,
    'Too many events are waiting to be stored: %s',
    'Retry after the seconds in Retry-After',
  ],
  stopping: [
    503,
    'The collector is stopping',
    'Retry: another collector, or this one after its restart, will take the event',
  ],
  loopback_only: [
    403,
    'This page is shown to this machine only',
    'Open it on the machine itself, or set collect.publicPages',
  ],
} as const
