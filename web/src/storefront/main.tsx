import { render } from 'preact'
import '../shared/tokens.css'

const root = document.getElementById('app')
if (root) render(<h1>Penstock</h1>, root)
