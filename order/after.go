package order

import "penstock/internal/ident"

// CursorAfter returns the cursor of the page that begins after an order; see [Orders.List].
func CursorAfter(id ident.ID) string { return cursorAt(id) }
