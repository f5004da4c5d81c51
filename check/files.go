package check

// Files judges database files alone, where one is damaged so that nothing else can be said. Everything else is not-run.
func Files(files []File) Report {
	w := newWorld(Snapshot{}, false, &Options{})
	w.files(files)
	for _, id := range w.tally.ids() {
		if id != filesID {
			w.tally.skip(id, "a database file is damaged")
		}
	}
	list, ok := w.tally.close()
	rep := Report{Verdict: Pass, Invariants: list, Figures: w.counts}
	if !ok {
		rep.Verdict = Fail
		rep.Notes = []string{"a damaged file is not mended by starting a server on it: keep a copy of the directory, then restore the file from a backup; without one, `sqlite3 FILE .recover` saves what can be read"}
	}
	return rep
}

// filesID is the invariant that every other one rests on.
const filesID = "F"

func (w *world) files(files []File) {
	if len(files) == 0 {
		w.tally.skip(filesID, "needs a data directory that no server has open")
		return
	}
	for _, f := range files {
		w.tally.ran(filesID, 1)
		for _, wrong := range f.Wrong {
			w.tally.bad(filesID, "%s: %s", f.Path, wrong)
		}
	}
}
