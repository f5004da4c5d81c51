package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is one typed setting bound to its field. set leaves the field as it is when it returns an error; the error says what
// is wrong with the text, in words that follow the quoted value.
type value interface {
	set(string) error
	String() string
	kind() string
}

type text struct {
	p        *string
	name     string
	required bool
}

func (v text) kind() string   { return v.name }
func (v text) String() string { return *v.p }
func (v text) set(s string) error {
	if v.required && strings.TrimSpace(s) == "" {
		return errors.New("is empty")
	}
	if strings.ContainsAny(s, "\x00\n\r") {
		return errors.New("has a line break or a NUL in it")
	}
	*v.p = s
	return nil
}

type onOff struct{ p *bool }

func (v onOff) kind() string   { return "true or false" }
func (v onOff) String() string { return strconv.FormatBool(*v.p) }
func (v onOff) set(s string) error {
	if s != "true" && s != "false" {
		return errors.New("is neither true nor false")
	}
	*v.p = s == "true"
	return nil
}

type choice struct {
	p   *string
	all []string
}

func (v choice) kind() string   { return strings.Join(v.all, ", ") }
func (v choice) String() string { return *v.p }
func (v choice) set(s string) error {
	if !slices.Contains(v.all, s) {
		return fmt.Errorf("is not one of %s", strings.Join(v.all, ", "))
	}
	*v.p = s
	return nil
}

type number struct {
	p        *int
	min, max int
}

func (v number) kind() string   { return fmt.Sprintf("number, %d to %d", v.min, v.max) }
func (v number) String() string { return strconv.Itoa(*v.p) }
func (v number) set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("is not a whole number from %d to %d", v.min, v.max)
	}
	*v.p = n
	return nil
}

type ratio struct{ p *float64 }

func (v ratio) kind() string   { return "share, 0 to 1" }
func (v ratio) String() string { return strconv.FormatFloat(*v.p, 'f', -1, 64) }
func (v ratio) set(s string) error {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1 {
		return errors.New("is not a number from 0 to 1")
	}
	*v.p = f
	return nil
}

type span struct {
	p        *time.Duration
	min, max time.Duration
}

func (v span) kind() string   { return "duration" }
func (v span) String() string { return spell(*v.p) }
func (v span) set(s string) error {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return errors.New("is not a duration with a unit (ms, s, m, h)")
	case d < v.min:
		return fmt.Errorf("is shorter than %s", spell(v.min))
	case d > v.max:
		return fmt.Errorf("is longer than %s", spell(v.max))
	}
	*v.p = d
	return nil
}

// pause is a span that "off" makes 0.
type pause struct{ span }

func (v pause) kind() string { return "duration or off" }

func (v pause) String() string {
	if *v.p == 0 {
		return "off"
	}
	return v.span.String()
}

func (v pause) set(s string) error {
	if s == "off" {
		*v.p = 0
		return nil
	}
	return v.span.set(s)
}

// spell writes a duration without the zero parts that Duration.String adds: 15m, not 15m0s.
func spell(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// rate is written 100/m: a whole number and s, m, h or a duration such as 10s.
type rate struct{ p *Rate }

func (v rate) kind() string   { return "rate or `off`" }
func (v rate) String() string { return v.p.String() }

// String returns the form that the file takes.
func (r Rate) String() string {
	if r.Off() {
		return "off"
	}
	per := spell(r.Per)
	if r.Per == time.Second || r.Per == time.Minute || r.Per == time.Hour {
		per = per[1:]
	}
	return strconv.FormatInt(r.N, 10) + "/" + per
}

func (v rate) set(s string) error {
	if s == "off" {
		*v.p = Rate{}
		return nil
	}
	count, per, ok := strings.Cut(s, "/")
	n, err := strconv.ParseInt(strings.TrimSpace(count), 10, 64)
	if !ok || err != nil || n < 1 || n > 1e9 {
		return errors.New("is not a rate")
	}
	per = strings.TrimSpace(per)
	if per == "s" || per == "m" || per == "h" {
		per = "1" + per
	}
	d, err := time.ParseDuration(per)
	if err != nil || d < time.Millisecond || d > 24*time.Hour {
		return errors.New("is not a rate")
	}
	*v.p = Rate{N: n, Per: d}
	return nil
}

type size struct {
	p        *int64
	min, max int64
}

func (v size) kind() string { return "size" }
func (v size) String() string {
	return sizeText(*v.p)
}

func sizeText(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return strconv.FormatInt(n, 10)
}

func (v size) set(s string) error {
	digits, unit := s, int64(1)
	if d, ok := strings.CutSuffix(s, "KiB"); ok {
		digits, unit = d, 1<<10
	} else if d, ok := strings.CutSuffix(s, "MiB"); ok {
		digits, unit = d, 1<<20
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > v.max {
		return fmt.Errorf("is not a size of at most %s (bytes, KiB, MiB)", sizeText(v.max))
	}
	if n *= unit; n < v.min || n > v.max {
		return fmt.Errorf("is not between %s and %s", sizeText(v.min), sizeText(v.max))
	}
	*v.p = n
	return nil
}

type address struct{ p *string }

func (v address) kind() string   { return "host:port" }
func (v address) String() string { return *v.p }
func (v address) set(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("is not host:port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("has no port from 0 to 65535")
	}
	*v.p = s
	return nil
}

type prefixes struct{ p *[]netip.Prefix }

func (v prefixes) kind() string { return "list of networks" }
func (v prefixes) String() string {
	all := make([]string, len(*v.p))
	for i, p := range *v.p {
		all[i] = p.String()
	}
	return strings.Join(all, ", ")
}

func (v prefixes) set(s string) error {
	var all []netip.Prefix
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		p, err := netip.ParsePrefix(part)
		if err != nil {
			return fmt.Errorf("has %q in it, which is not a network in CIDR form", part)
		}
		all = append(all, p.Masked())
	}
	*v.p = all
	return nil
}

// engine is chosen by the scheme of a URL. embedded engines need no more than their name ("sqlite" alone is taken for "sqlite:",
// which YAML wants in quotes); remote ones are URLs, whose parts the engine itself checks before anything starts.
type engine struct {
	p                *string
	embedded, remote []string
	// follows is the key whose engine is taken when nothing is set, or "".
	follows string
}

func (v engine) kind() string {
	names := slices.Clone(v.embedded)
	for _, scheme := range v.remote {
		names = append(names, scheme+"…")
	}
	return strings.Join(names, ", ")
}

func (v engine) String() string { return *v.p }
func (v engine) set(s string) error {
	if s == "" && v.follows != "" {
		*v.p = ""
		return nil
	}
	for _, scheme := range v.embedded {
		if s == scheme || s+":" == scheme {
			*v.p = scheme
			return nil
		}
	}
	for _, scheme := range v.remote {
		if rest, ok := strings.CutPrefix(s, scheme); ok && rest != "" && !strings.ContainsAny(rest, " \t\r\n\x00") {
			*v.p = s
			return nil
		}
		if strings.HasPrefix(s, strings.TrimSuffix(scheme, "//")) {
			return fmt.Errorf("is not a whole URL: after %s comes a host", scheme)
		}
	}
	if strings.HasPrefix(s, "sqlite:") && slices.Contains(v.embedded, "sqlite:") {
		return errors.New("names a path; SQLite files live in the data directory, which the key data sets")
	}
	if scheme, _, _ := strings.Cut(s, "://"); strings.Contains(scheme, "sentinel") {
		return errors.New("asks for Sentinel, which is not spoken; name the servers that it watches, as redis://primary:6379?replica=standby:6379: " +
			"whichever is the primary is used")
	}
	return errors.New("is not an engine of this build")
}

// roles is a list of what a process does.
type roles struct {
	p   *[]string
	all []string
}

func (v roles) kind() string   { return "list of " + strings.Join(v.all, ", ") }
func (v roles) String() string { return strings.Join(*v.p, ",") }
func (v roles) set(s string) error {
	var list []string
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(v.all, name) {
			return fmt.Errorf("names the role %q; the roles are %s", name, strings.Join(v.all, ", "))
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	*v.p = list
	return nil
}

// link is an http(s) URL of somewhere else, or nothing.
type link struct{ p *string }

func (v link) kind() string   { return "URL" }
func (v link) String() string { return *v.p }
func (v link) set(s string) error {
	if s != "" {
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("is not an http(s) URL without a query")
		}
	}
	*v.p = strings.TrimRight(s, "/")
	return nil
}

// issuer is the scheme and host by which others reach a listener: https, or http of this machine. Or nothing.
type issuer struct{ p *string }

func (v issuer) kind() string   { return "URL" }
func (v issuer) String() string { return *v.p }
func (v issuer) set(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
	case err != nil || u.Host == "" || s != u.Scheme+"://"+u.Host:
		return errors.New("is not a URL of scheme and host only")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Host) && !loopback(u.Host+":80")):
		return errors.New("must be https; http is for loopback only")
	}
	*v.p = s
	return nil
}

type base struct{ p *string }

func (v base) kind() string   { return "URL or path" }
func (v base) String() string { return *v.p }
func (v base) set(s string) error {
	u, err := url.Parse(s)
	absolute := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	if err != nil || (!absolute && (!strings.HasPrefix(s, "/") || strings.Trim(s, "/") == "")) || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("is neither an absolute path nor an http(s) URL")
	}
	*v.p = strings.TrimRight(s, "/")
	return nil
}

// webhookSecret is a Standard Webhooks secret: whsec_ and base64 of 24 to 64 bytes.
type webhookSecret struct{ p *string }

func (v webhookSecret) kind() string   { return "secret" }
func (v webhookSecret) String() string { return *v.p }
func (v webhookSecret) set(s string) error {
	if s != "" {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		if err != nil || !strings.HasPrefix(s, "whsec_") || len(raw) < 24 || len(raw) > 64 {
			return errors.New("is not whsec_ followed by the base64 of 24 to 64 bytes")
		}
	}
	*v.p = s
	return nil
}
