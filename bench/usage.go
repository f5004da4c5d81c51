//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// cpuOf names processes whose CPU time is one figure.
type cpuOf struct {
	name string
	pids []int
}

// usage is the CPU time that processes had used when it began.
type usage struct {
	of   []cpuOf
	from []time.Duration
}

func watch(of []cpuOf) *usage {
	u := &usage{of: of}
	for _, c := range of {
		u.from = append(u.from, cpuTime(c.pids))
	}
	return u
}

// add adds what an answer has cost each since then.
func (u *usage) add(f *figures, who, answer string, answers int64) {
	for i, c := range u.of {
		spent := cpuTime(c.pids) - u.from[i]
		f.add(cpuPer(who, c.name, answer), micros, float64(spent.Nanoseconds())/1e3/float64(max(answers, 1)))
	}
}

// cpuPer is the name of the figure.
func cpuPer(who, part, answer string) string {
	return fmt.Sprintf("  %s, CPU of %s per %s", who, part, answer)
}

// tick is the unit of /proc/PID/stat.
const tick = 10 * time.Millisecond

// cpuTime is user and system time of processes; one that is gone counts nothing.
func cpuTime(pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, field := range fields[11:13] {
			n, err := strconv.Atoi(field)
			if err == nil {
				sum += time.Duration(n) * tick
			}
		}
	}
	return sum
}

// children are the processes that a process has started.
func children(pid int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var all []int
	for field := range strings.FieldsSeq(string(b)) {
		if child, err := strconv.Atoi(field); err == nil {
			all = append(all, child)
		}
	}
	return all
}
