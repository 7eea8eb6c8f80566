/** What the API refuses: questions, their askers, and long work that it does for them; see error.ts. */
export const apiErrors = {
  question_invalid: [400, 'The question is not valid: %s', 'See /api/openapi.json'],
  question_too_large: [422, 'The question is too large: %s', 'Ask for fewer days, or add a filter'],
  token_foreign: [
    400,
    'The continuation token belongs to another question',
    'Ask again without after=',
  ],
  unauthorized: [
    401,
    'A token is needed',
    'Send Authorization: Bearer TOKEN: api.token, or the token of this run in owner.json of the data folder; in a browser log in at /login',
  ],
  host_refused: [403, 'This Host is not served: %s', 'Add it to MILLRACE_API_ALLOWED_HOSTS'],
  proxy_refused: [
    403,
    'A proxy has passed this request on, and there is no token that would keep others out',
    'Set MILLRACE_API_TOKEN to 32 characters or more',
  ],
  api_origin_refused: [
    403,
    'Requests from this origin are not served: %s',
    "Use the API's own pages, or a client outside the browser",
  ],
  login_limited: [
    429,
    'Too many failed logins from %s',
    'Wait a minute; the token is that of MILLRACE_API_TOKEN',
  ],
  event_absent: [
    404,
    'It did not arrive: %s',
    'Look at /inspect, and at what was refused: /api/inspect/rejections',
  ],
  live_dropped: [
    503,
    'The live stream was read too slowly: %s events are not in it',
    'They are stored: millrace events has them; follow again for those that come',
  ],
  live_full: [503, 'Too many live streams are open: %s', 'Close one, or raise api.liveMax'],
  replay_running: [409, 'A replay is running: %s', 'Wait until it has ended'],
  reconcile_running: [409, 'Log and store are being compared: %s', 'Wait until it has ended'],
  close_running: [409, 'Days are being closed: %s', 'Wait until it has ended'],
  dead_letter_unknown: [
    404,
    'There is no such dead letter: %s',
    'millrace dead-letters list shows them',
  ],
  dead_letter_unreplayable: [
    409,
    'The dead letter cannot be replayed: %s',
    'It was cut at a limit, or its bytes cannot be read yet',
  ],
  export_running: [
    409,
    'An export or a backup is running: %s',
    'Wait until it has ended; each needs memory and disk of its own',
  ],
  backup_invalid: [
    500,
    'This is no whole backup: %s',
    'Copy the file again, or take an older backup; nothing was restored',
  ],
  backup_version: [
    500,
    'The backup was made by another version: %s',
    'Restore it with the version of Millrace that made it',
  ],
  restore_refused: [
    500,
    'The backup is not restored: %s',
    'Name an empty folder with --data, or move the old one away',
  ],
} as const
