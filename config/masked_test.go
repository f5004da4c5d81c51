package config_test

import (
	"strings"
	"testing"

	"penstock/config"
)

// No part of a password is shown, whatever somebody wrote between its colon and the host.
func TestMaskedShowsNoPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"mysql://u:hush@h1/x", "mysql://u:hush/hush@h1/x", "mysql://u:hush@hush@h1/x", "redis://:hush#hush@h1", "mysql://u:hush:hush@h1/x",
		"mysql://u:hush@h1/x,mysql://v:hush/hush@h1/x", "mysql://u:hush@h1/x, mysql://v:hush,hush@h1/x",
	} {
		if got := config.Masked(url); strings.Contains(got, "hush") || !strings.Contains(got, "h1") {
			t.Errorf("%s is shown as %s", url, got)
		}
	}
	for _, url := range []string{"mysql://u@h1:3306/x", "http://h1:80/a", "sqlite:", "outbox", "kafka://h1:9092,h2:9092", "http://h1/a:b@c"} {
		if got := config.Masked(url); got != url {
			t.Errorf("%s is shown as %s", url, got)
		}
	}
}
