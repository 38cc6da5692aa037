// Which stretch of the past the charts show.

import { range, RANGES } from '../history'

export function Ranges() {
  return (
    <div class="ranges" role="group" aria-label="What the charts show">
      {RANGES.map((each) => (
        <button
          key={each.label}
          type="button"
          class="small"
          aria-pressed={range.value === each}
          onClick={() => (range.value = each)}
        >
          {each.label}
        </button>
      ))}
    </div>
  )
}
