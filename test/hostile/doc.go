// Package hostile sends a running Penstock what no honest client sends, over raw sockets, and looks at what is left of it.
//
// Requests are made from a seed, which is printed (HOSTILE_SEED repeats one), out of corpora written here: hostile numbers, texts,
// JSON, headers, tokens, methods and paths, put where the published document says that something goes, and where it does not. The
// rest is what a request generator cannot do: smuggling, slow and endless clients, bombs, and clients that go away.
//
// Whatever is sent, the process must stay, answer nothing of 500 and above (but for reduced capacity, which is counted), name each
// refusal by a listed problem type with the headers of protection, write no line of the attacker's into its log, and have as much
// memory, goroutines, descriptors and metric series afterwards as before, within stated bounds.
//
// make test sends 6,000; HOSTILE=100000, as in make soak, sends so many.
package hostile
