import type { FastifyInstance } from 'fastify'
import { accountingParameters, askAccounting, parseAccounting } from '../query/accounting.ts'
import {
  askClickThrough,
  clickThroughParameters,
  parseClickThrough,
} from '../query/click-through.ts'
import { askCounts, countsParameters, parseCounts } from '../query/counts.ts'
import { askFunnel, funnelParameters, parseFunnel } from '../query/funnel.ts'
import type { OnBehind, ParameterNotes, QueryContext, QueryStore } from '../query/query.ts'
import { askRetention, parseRetention, retentionParameters } from '../query/retention.ts'
import { askSessions, parseSessions, sessionsParameters } from '../query/sessions.ts'
import {
  askTop,
  devicesParameters,
  pageViewParameters,
  parseDevices,
  parseTop,
  parseTopOfPageViews,
  topParameters,
} from '../query/top.ts'
import { askUniques, parseUniques, uniquesParameters } from '../query/uniques.ts'
import type {
  AccountingAnswer,
  ClickThroughAnswer,
  CountriesAnswer,
  CountsAnswer,
  DevicesAnswer,
  FunnelAnswer,
  RetentionAnswer,
  SessionsAnswer,
  TopItemsAnswer,
  TopPagesAnswer,
  TopReferrersAnswer,
  UniquesAnswer,
} from './answer.ts'
import { queryTextOf, sendJson } from './reply.ts'
import { type AnswerName, questionSchema } from './schema.ts'

/** A question whose answer is a small object: counted rows. */
interface CountRoute {
  readonly path: string
  readonly summary: string
  readonly parameters: ParameterNotes
  readonly answerName: AnswerName
  /** @param text the query string */
  readonly answer: (text: string) => Promise<object>
}

/** The questions that count. */
export function addCountRoutes(
  app: FastifyInstance,
  store: QueryStore,
  context: QueryContext,
): void {
  const routes = [
    ...countsOf(store, context),
    ...topListsOf(store, context),
    ...behaviourOf(store, context),
    clickThroughOf(store, context),
  ]
  for (const { path, summary, parameters, answerName, answer } of routes) {
    const schema = questionSchema(summary, parameters, answerName)
    app.get(path, { schema }, async (request, reply) =>
      sendJson(reply, JSON.stringify(await answer(queryTextOf(request)))),
    )
  }
}

/** Adds until when an answer has everything, where the store says that it may be behind. */
async function dated<Answer extends object>(
  ask: (onBehind: OnBehind) => Promise<Answer>,
): Promise<Answer & { readonly asOf?: string }> {
  let oldest = Number.POSITIVE_INFINITY
  const answer = await ask((asOf) => {
    oldest = Math.min(oldest, asOf)
  })
  return oldest === Number.POSITIVE_INFINITY
    ? answer
    : { ...answer, asOf: new Date(oldest).toISOString() }
}

function countsOf(store: QueryStore, context: QueryContext): readonly CountRoute[] {
  return [
    {
      path: '/api/counts',
      summary: 'Events by day and event type',
      parameters: countsParameters,
      answerName: 'counts',
      answer: (text): Promise<CountsAnswer> =>
        dated(async (onBehind) => ({
          rows: await askCounts(store, parseCounts(text, context), onBehind),
        })),
    },
    {
      path: '/api/uniques',
      summary: 'Different parties by day, and in the whole range',
      parameters: uniquesParameters,
      answerName: 'uniques',
      answer: (text): Promise<UniquesAnswer> =>
        dated(async (onBehind) => askUniques(store, parseUniques(text, context), onBehind)),
    },
    {
      path: '/api/accounting',
      summary: 'Events sent, stored, rejected, missing and repeated, by day',
      parameters: accountingParameters,
      answerName: 'accounting',
      answer: async (text): Promise<AccountingAnswer> => {
        const rows = await askAccounting(store, parseAccounting(text, context))
        return {
          rows: rows.map(({ day, stored, rejected, missing, repeated }) => {
            return { day, sent: stored + rejected + missing, stored, rejected, missing, repeated }
          }),
        }
      },
    },
  ]
}

function topListsOf(store: QueryStore, context: QueryContext): readonly CountRoute[] {
  return [
    {
      path: '/api/top-items',
      summary: 'Items with most events',
      parameters: topParameters,
      answerName: 'topItems',
      answer: (text): Promise<TopItemsAnswer> =>
        dated(async (onBehind) => {
          const rows = await askTop(store, parseTop(text, context, 'itemId'), onBehind)
          return { rows: rows.map(({ value, count }) => ({ itemId: value, count })) }
        }),
    },
    {
      path: '/api/top-pages',
      summary: 'Locations, without query and fragment, with most page views',
      parameters: pageViewParameters,
      answerName: 'topPages',
      answer: async (text): Promise<TopPagesAnswer> => {
        const rows = await askTop(store, parseTopOfPageViews(text, context, 'page'))
        return { rows: rows.map(({ value, count }) => ({ page: value, count })) }
      },
    },
    {
      path: '/api/top-referrers',
      summary: 'Hosts of other sites that led to most page views',
      parameters: pageViewParameters,
      answerName: 'topReferrers',
      answer: async (text): Promise<TopReferrersAnswer> => {
        const rows = await askTop(store, parseTopOfPageViews(text, context, 'referrer'))
        return { rows: rows.map(({ value, count }) => ({ referrer: value, count })) }
      },
    },
    {
      path: '/api/countries',
      summary: 'Countries with most events',
      parameters: topParameters,
      answerName: 'countries',
      answer: async (text): Promise<CountriesAnswer> => {
        const rows = await askTop(store, parseTop(text, context, 'country'))
        return { rows: rows.map(({ value, count }) => ({ country: value, count })) }
      },
    },
    {
      path: '/api/devices',
      summary: 'Device categories, browsers or operating systems with most events',
      parameters: devicesParameters,
      answerName: 'devices',
      answer: async (text): Promise<DevicesAnswer> => {
        const rows = await askTop(store, parseDevices(text, context))
        return { rows: rows.map(({ value, count }) => ({ device: value, count })) }
      },
    },
  ]
}

function behaviourOf(store: QueryStore, context: QueryContext): readonly CountRoute[] {
  return [
    {
      path: '/api/sessions',
      summary: 'Sessions by the day on which they began',
      parameters: sessionsParameters,
      answerName: 'sessions',
      answer: async (text): Promise<SessionsAnswer> => {
        const rows = await askSessions(store, parseSessions(text, context))
        return {
          rows: rows.map(({ durationMs, ...row }) => ({
            ...row,
            meanSeconds: Math.round(durationMs / row.sessions) / 1_000,
          })),
        }
      },
    },
    {
      path: '/api/funnel',
      summary: 'Parties that did some steps one after the other',
      parameters: funnelParameters,
      answerName: 'funnel',
      answer: async (text): Promise<FunnelAnswer> => ({
        rows: await askFunnel(store, parseFunnel(text, context)),
      }),
    },
    {
      path: '/api/retention',
      summary: 'Parties by the week in which they were first seen, and how many came again',
      parameters: retentionParameters,
      answerName: 'retention',
      answer: async (text): Promise<RetentionAnswer> => ({
        rows: await askRetention(store, parseRetention(text, context)),
      }),
    },
  ]
}

function clickThroughOf(store: QueryStore, context: QueryContext): CountRoute {
  return {
    path: '/api/recommendations/click-through',
    summary: 'Recommended items that were seen and clicked, by day, model and position',
    parameters: clickThroughParameters,
    answerName: 'clickThrough',
    answer: async (text): Promise<ClickThroughAnswer> => {
      const answer = await askClickThrough(store, parseClickThrough(text, context))
      const { rows, unmatchedClicks, latest } = answer
      return {
        rows,
        unmatchedClicks,
        latest: latest.map(({ seenAt, ...rest }) => ({
          ...rest,
          seenAt: new Date(seenAt).toISOString(),
        })),
      }
    },
  }
}
