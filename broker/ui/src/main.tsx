import 'modern-normalize/modern-normalize.css'
import '@radix-ui/colors/slate.css'
import '@radix-ui/colors/slate-dark.css'
import '@radix-ui/colors/indigo.css'
import '@radix-ui/colors/indigo-dark.css'
import '@radix-ui/colors/red.css'
import '@radix-ui/colors/red-dark.css'
import '@radix-ui/colors/amber.css'
import '@radix-ui/colors/amber-dark.css'
import '@radix-ui/colors/jade.css'
import '@radix-ui/colors/jade-dark.css'
import 'uplot/dist/uPlot.min.css'
import './styles/base.css'
import './styles/layout.css'
import './styles/controls.css'
import './styles/data.css'
import './theme'

import { render } from 'preact'

import { App } from './app'

const root = document.getElementById('app')
if (root) {
  render(<App />, root)
}
