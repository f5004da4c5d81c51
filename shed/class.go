package shed

// Class is how much a call matters, from what its caller already has at stake. Lower classes go first when there is too much
// to do. The zero Class is Exempt.
type Class uint8

// Classes, the most important first. Exempt calls are neither counted nor refused, such as probes.
const (
	Exempt Class = iota
	Paying
	ReadingWon
	Confirming
	AttemptingWithPass
	Attempting
	Browsing
	Searching
)

const classes = int(Searching) + 1

var names = [classes]string{"exempt", "paying", "reading-won", "confirming", "attempting-with-pass", "attempting", "browsing", "searching"}

// String returns the name used in metrics and in policies.
func (c Class) String() string {
	if int(c) < classes {
		return names[c]
	}
	return "unknown"
}

// Classes returns all that are shed, the most important first.
func Classes() []Class {
	return []Class{Paying, ReadingWon, Confirming, AttemptingWithPass, Attempting, Browsing, Searching}
}

// ParseClass finds a class by its name.
func ParseClass(name string) (Class, bool) {
	for i, n := range names {
		if n == name {
			return Class(i), true
		}
	}
	return 0, false
}
