// A histogram: how many of what size.

import type { Histogram } from '../api/types'
import { count } from '../format'

interface Props {
  title: string
  histogram: Histogram
  format: (value: number) => string
}

const WIDTH = 100

/** The rows from the first to the last that have something. */
export function Bars({ title, histogram: { mean, histogram: buckets }, format }: Props) {
  const first = buckets.findIndex((bucket) => bucket.count > 0)
  const last = buckets.findLastIndex((bucket) => bucket.count > 0)
  const shown = first < 0 ? [] : buckets.slice(first, last + 1)
  const most = Math.max(1, ...shown.map((bucket) => bucket.count))
  return (
    <figure class="chart">
      <figcaption>
        {title}
        {mean !== null && <span class="quiet"> mean {format(mean)}</span>}
      </figcaption>
      {shown.length === 0 && <p class="empty">Nothing was measured yet.</p>}
      {shown.length > 0 && (
        <table class="bars">
          <thead class="unseen">
            <tr>
              <th scope="col">At most</th>
              <th scope="col">Share</th>
              <th scope="col">Count</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((bucket) => (
              <tr key={bucket.at_most}>
                <th scope="row">{bucket.at_most === null ? 'more' : `≤ ${format(bucket.at_most)}`}</th>
                <td class="bar">
                  <svg viewBox={`0 0 ${WIDTH} 10`} preserveAspectRatio="none" aria-hidden="true">
                    <rect width={(bucket.count / most) * WIDTH} height="10" rx="1" />
                  </svg>
                </td>
                <td class="numeric">{count(bucket.count)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </figure>
  )
}
