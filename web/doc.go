// Package web carries the faces inside the binary: the storefront for buyers and the console for operators, as "make web" has built
// them from the TypeScript beside this file.
//
// A [Face] answers the paths below its base and no other. It promises that files whose name carries a hash of their content are kept by browsers
// for ever and pages by nobody; that each page names its scripts and styles by a nonce that is new for each answer, and that its
// Content-Security-Policy lets nothing else run or load; that no path outside its base, and no file that does not exist, is answered
// with a page. It knows no room and asks nobody who calls: pages are public, what they show comes over the API. A binary that was
// built without the faces answers with a page that says how to build them. Safe for concurrent use.
package web

import "embed"

// dist is what "npm run build" leaves; a placeholder keeps the directory where nobody ran it.
//
//go:embed all:dist
var dist embed.FS
