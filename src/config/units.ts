import { z } from 'zod'

/** What the sections of the configuration share. */

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

/** 0 takes a free one. */
export const port = z.int().min(0).max(65535)
export const positive = z.int().min(1)
export const bytes = z.int().min(1)
