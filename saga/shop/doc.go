// Package shop is what of this shop takes part in transactions: its stock and its orders, as they are.
//
// Neither has a barrier table: the key of an attempt is one. A try holds under a key made of transaction and branch; a repeat
// finds the key bound; a cancel that comes first binds the key to a final no, which is what a late try then finds; confirm and
// cancel are compare-and-sets of the claim. It promises what package participant asks for. All types are safe for concurrent use.
package shop
