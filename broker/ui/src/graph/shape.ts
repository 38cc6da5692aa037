// How nodes and lines look, apart from where they are.

export const NODE_HEIGHT = 34

/** A smooth line through points. */
export function curve(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points
  if (!first) {
    return ''
  }
  const parts = [`M ${first.x} ${first.y}`]
  let before = first
  for (const point of rest) {
    const middle = (before.x + point.x) / 2
    parts.push(`C ${middle} ${before.y}, ${middle} ${point.y}, ${point.x} ${point.y}`)
    before = point
  }
  return parts.join(' ')
}
