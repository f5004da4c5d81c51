package upstream

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Upstream is a service: processes that do the same, as a policy file names them.
type Upstream struct {
	// Targets are its processes, by scheme, host and port.
	Targets []Target `yaml:"targets"`
	// Protocol is http1, http2 (by prior knowledge on http, by TLS on https), or "" for http1 on http and what TLS agrees on.
	Protocol Protocol `yaml:"protocol"`
	TLS      TLS      `yaml:"tls"`
	// Breaker is the name of one under breakers.
	Breaker  string   `yaml:"breaker"`
	Health   *Health  `yaml:"health"`
	Ejection Ejection `yaml:"ejection"`
	// RetryBudget is how many retries and hedges there may be for each hundred calls; nil means 10, 0 none at all.
	RetryBudget *Percent `yaml:"retryBudget"`
	// Connections to one process, at most; 0 means 256. Calls that wait for one wait within their own time.
	Connections int `yaml:"connections"`
	// Connect is how long a connection may take to stand; 0 means 2 s.
	Connect Duration `yaml:"connect"`
}

// TLS is how https targets are trusted. Files are PEM.
type TLS struct {
	// CA takes the place of the system's authorities. Cert and Key are shown to the upstream.
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Name is the one that the upstream's certificate must have; "" means the host of the target.
	Name string `yaml:"name"`
}

// Health is an active check: GET Path must answer 2xx.
type Health struct {
	Path string `yaml:"path"`
	// Every is the pause between two checks, 0 means 5 s; Timeout of one, 0 means 1 s.
	Every   Duration `yaml:"every"`
	Timeout Duration `yaml:"timeout"`
	// Down failures in a row take a process out, Up successes bring it back; 0 means 3 and 2.
	Down int `yaml:"down"`
	Up   int `yaml:"up"`
}

// Ejection takes a process out whose calls fail. The last process that is left stays.
type Ejection struct {
	// Failures in a row; 0 means 5.
	Failures int `yaml:"failures"`
	// For is how long, the first time; each time in a row it is longer, to ten times that. 0 means 10 s.
	For Duration `yaml:"for"`
	// Most of the processes that may be out so; nil means 50 %, 0 that none is.
	Most *Percent `yaml:"most"`
}

// Route is a route to a service.
type Route struct {
	// Match is a method and a path as net/http writes them, such as "GET /v1/products/{id}" or "POST /ext/{rest...}".
	Match  string `yaml:"match"`
	Access Access `yaml:"access"`
	// Upstream or Split says where calls go. A user stays on one side of a split while its weights do.
	Upstream string  `yaml:"upstream"`
	Split    []Share `yaml:"split"`
	// Path is the path at the upstream, with the wildcards of Match; "" means the same.
	Path    string  `yaml:"path"`
	Headers Headers `yaml:"headers"`
	Answer  Headers `yaml:"answer"`
	// Credentials is pass to send Authorization, Cookie and signatures on.
	Credentials Word `yaml:"credentials"`
	// Sandbox lets sandbox apps through; the upstream sees X-Sandbox.
	Sandbox bool `yaml:"sandbox"`
	// Timeout is for all tries together, until the answer has ended; 0 means 15 s. Try is for the head of one; 0 means Timeout.
	Timeout Duration `yaml:"timeout"`
	Try     Duration `yaml:"try"`
	Retries Retries  `yaml:"retries"`
	// Hedge is after which silence a second try starts beside the first; 0 means never. Reading methods only.
	Hedge Duration `yaml:"hedge"`
	// Stream is events (server-sent events) or websocket.
	Stream Word `yaml:"stream"`
	// Origins are the sites, beside our own, whose pages may open a WebSocket, such as https://shop.example.com.
	Origins []string `yaml:"origins"`
	// Streams open at once, at most; 0 means 1000. Idle is how long an event stream may be silent; 0 means 5 min.
	Streams int      `yaml:"streams"`
	Idle    Duration `yaml:"idle"`
	// Request and Response convert bodies; GRPC calls a method with the JSON of the caller.
	Request  *Conversion `yaml:"request"`
	Response *Conversion `yaml:"response"`
	GRPC     *GRPC       `yaml:"grpc"`
	// OpenAPI is a document; parameters and body must follow its operation of the same method and path.
	OpenAPI string `yaml:"openapi"`
	// Fallback answers when the upstream does not. It cannot be where Identity is set: nobody guesses who somebody is.
	Fallback *Fallback `yaml:"fallback"`
	Identity bool      `yaml:"identity"`
	// Problems is wrap to turn the upstream's answers of 400 and above into problems of ours.
	Problems Word `yaml:"problems"`
	// MaxAnswer is the longest answer that is converted; 0 means 4 MiB.
	MaxAnswer Size `yaml:"maxAnswer"`
}

// Share is one side of a split.
type Share struct {
	Upstream string `yaml:"upstream"`
	Weight   int    `yaml:"weight"`
}

// Headers are set, then removed.
type Headers struct {
	Set    map[string]string `yaml:"set"`
	Remove []string          `yaml:"remove"`
}

// Retries are tries after the first.
type Retries struct {
	Times int `yaml:"times"`
	// Keyed repeats calls with an Idempotency-Key too: the upstream must honour it.
	Keyed bool `yaml:"keyed"`
}

// Conversion turns a body from one form into another.
type Conversion struct {
	From Form `yaml:"from"`
	To   Form `yaml:"to"`
	// Root is the name of the outer element when To is xml.
	Root string `yaml:"root"`
	// Fields, unless empty, are the only members that pass. Without them all do, under their names.
	Fields []Field `yaml:"fields"`
}

// Field is one member. From is a JSON pointer into what comes, or in requests path:NAME or query:NAME; Value is fixed text.
type Field struct {
	From     string `yaml:"from"`
	Value    string `yaml:"value"`
	To       string `yaml:"to"`
	Type     Word   `yaml:"type"`
	Required bool   `yaml:"required"`
}

// GRPC is a unary method.
type GRPC struct {
	// Descriptors is a file with a FileDescriptorSet (protoc --include_imports --descriptor_set_out). Method is such as
	// shop.v1.Prices/Get.
	Descriptors string `yaml:"descriptors"`
	Method      string `yaml:"method"`
}

// Fallback is a second path, or a default answer to a reading call.
type Fallback struct {
	Upstream string `yaml:"upstream"`
	Status   int    `yaml:"status"`
	Body     string `yaml:"body"`
	Type     string `yaml:"type"`
}

// Word is one of a few words; which, its key says.
type Word string

// Target is where a process listens.
type Target url.URL

// UnmarshalText reads http://10.0.0.5:9000 or https://catalog.internal.
func (t *Target) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("is no target: scheme, host and port, and no more, such as http://10.0.0.5:9000")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("is no target: a port is from 1 to 65535")
		}
	}
	u.Path, u.RawPath = "", ""
	*t = Target(*u)
	return nil
}

// String returns it as it is written.
func (t Target) String() string { u := url.URL(t); return u.String() }

// Protocol is http1 or http2.
type Protocol string

// UnmarshalText reads the name.
func (p *Protocol) UnmarshalText(text []byte) error {
	return oneOf((*string)(p), text, "http1", "http2")
}

// Form is json, form or xml.
type Form string

// UnmarshalText reads the name.
func (f *Form) UnmarshalText(text []byte) error {
	return oneOf((*string)(f), text, "json", "form", "xml")
}

// Access is who may call: user, anyone, app or operator; "" is user.
type Access string

// UnmarshalText reads the name.
func (a *Access) UnmarshalText(text []byte) error {
	return oneOf((*string)(a), text, "user", "anyone", "app", "operator")
}

func oneOf(to *string, text []byte, words ...string) error {
	for _, w := range words {
		if string(text) == w {
			*to = w
			return nil
		}
	}
	return fmt.Errorf("is none of %s", strings.Join(words, ", "))
}

// Percent is a part of a hundred, from 0 to 100.
type Percent float64

func (p *Percent) or(otherwise Percent) float64 {
	if p == nil {
		return float64(otherwise)
	}
	return float64(*p)
}

// UnmarshalText reads 10% or 10.
func (p *Percent) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(string(text), "%"), 64)
	if err != nil || !(v >= 0 && v <= 100) {
		return fmt.Errorf("is no percentage from 0%% to 100%%")
	}
	*p = Percent(v)
	return nil
}

// Duration is a time.Duration that says what is wrong with it.
type Duration time.Duration

// UnmarshalText reads 50ms, 2s or 1m.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 || v > time.Hour {
		return fmt.Errorf("is no duration up to an hour")
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes.
type Size int64

// UnmarshalText reads 64KiB, 1MiB or a number of bytes.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = rest, u
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > 64<<20/unit {
		return fmt.Errorf("is no size from 1 byte to 64MiB")
	}
	*s = Size(n * unit)
	return nil
}

func (d Duration) or(otherwise time.Duration) time.Duration {
	return cmp.Or(time.Duration(d), otherwise)
}
