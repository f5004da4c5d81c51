/** The nonce of this response, which the page's policy wants on every style sheet that a script makes. */
export const nonce = (): string => document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''

/**
 * Gives the nonce to style sheets that scripts make. The components do so themselves but for a few sheets, such as the one that
 * keeps the page from scrolling under a dialog. Markup that somebody injects is not made by scripts of ours, and stays without.
 */
export function nonceStyles(value: string): void {
  if (!value) return
  const make = document.createElement.bind(document)
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const made = make(name, options)
    if (made instanceof HTMLStyleElement) made.nonce = value
    return made
  }) as typeof document.createElement
}
