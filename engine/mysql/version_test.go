package mysql

import "testing"

// Servers are told apart by their version, and one that gets no mends any more is refused.
func TestVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct {
		flavour Flavour
		good    bool
	}{
		"10.11.19-MariaDB-0+deb12u1-log": {MariaDB, true},
		"5.5.5-10.6.4-MariaDB":           {MariaDB, true},
		"11.4.2-MariaDB":                 {MariaDB, true},
		"10.3.39-MariaDB":                {MariaDB, false},
		"8.0.36":                         {MySQL, true},
		"9.1.0-commercial":               {MySQL, true},
		"5.7.44-log":                     {MySQL, false},
		"8.0.11-TiDB-v7.5.1":             {TiDB, true},
		"5.7.25-TiDB-v6.5.0":             {TiDB, true},
		"5.7.25-TiDB-v5.4.0":             {TiDB, false},
		"unheard of":                     {MySQL, true},
	} {
		f := flavour(version)
		if err := oldEnough(f, version); f != want.flavour || (err == nil) != want.good {
			t.Errorf("%s: %s, %v", version, f, err)
		}
	}
}
