// Dark or light: as the system says, until one chooses.

import { effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'

const KEY = 'amphora-theme'
const systemIsDark = matchMedia('(prefers-color-scheme: dark)')
const system = signal(systemIsDark.matches)

export const theme = signal<Theme>(stored())

/** What is shown: also what charts are drawn for. */
export const isDark = signal(false)

systemIsDark.addEventListener('change', (event) => {
  system.value = event.matches
})

effect(() => {
  isDark.value = theme.value === 'system' ? system.value : theme.value === 'dark'
  document.documentElement.className = isDark.value ? 'dark' : 'light'
})

export function choose(next: Theme): void {
  theme.value = next
  localStorage.setItem(KEY, next)
}

function stored(): Theme {
  const value = localStorage.getItem(KEY)
  return value === 'light' || value === 'dark' ? value : 'system'
}
