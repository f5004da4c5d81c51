// Package console is what operators' pages live from: the present of a few topics, told as it changes.
//
// A [Hub] has one producer for each topic that somebody watches, and none for the others: it looks at most four times a second, encodes
// what it finds once, and shares the bytes among all who watch. A frame is the whole present of its topic, never a step from one
// state to the next. So nothing is queued: who reads slowly gets the newest frame, and who comes back after a gap has missed nothing
// that is still true. With many watchers the pauses grow, so that their number never costs more than a thousand frames a second.
//
// A [Meter] counts the answers to attempts, by sale, of the sales that are watched; for the others it costs one load from memory.
//
// It does not promise that every state in between is seen, nor that figures of several processes are added up: answers and latency
// are those of this process, and say so. All exported methods are safe for concurrent use unless they say otherwise.
package console
