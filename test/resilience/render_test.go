package resilience

import (
	"os/exec"
	"strings"
	"testing"
)

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func writePage(t *testing.T, name string) {}
