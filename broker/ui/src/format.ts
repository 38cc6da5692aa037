// Numbers and moments for people.

const whole = new Intl.NumberFormat('en')
const precise = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : whole.format(value)
}

/** So many of something whose plural ends in s. */
export function plural(value: number, thing: string): string {
  return `${count(value)} ${thing}${value === 1 ? '' : 's'}`
}

/** Short, for the axes of charts and small tiles. */
export function short(value: number): string {
  return Math.abs(value) < 10_000 ? precise.format(value) : compact.format(value)
}

export function rate(perSecond: number): string {
  return `${short(perSecond)}/s`
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) {
    return '–'
  }
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let scaled = value
  let unit = 0
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024
    unit += 1
  }
  return `${precise.format(scaled)} ${units[unit] ?? ''}`
}

export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (ms < 1000) {
    return `${Math.round(ms)} ms`
  }
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([value]) => value > 0)
  const shown = parts.slice(first, first + 2).filter(([value]) => value > 0)
  return shown.map(([value, unit]) => `${value} ${unit}`).join(' ')
}

export function nanoseconds(ns: number): string {
  if (ns < 1000) {
    return `${precise.format(ns)} ns`
  }
  return ns < 1e6 ? `${precise.format(ns / 1000)} µs` : `${precise.format(ns / 1e6)} ms`
}

/** Milliseconds since 1970. */
export function time(ms: number | null | undefined): string {
  return ms ? moment.format(ms) : '–'
}

export function yesNo(flag: boolean): string {
  return flag ? 'yes' : 'no'
}
