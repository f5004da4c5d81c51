package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

const masked = "[redacted]"

// secretWords mark a key as naming a secret wherever they stand in it: Authorization, set-cookie, accessToken, client_secret.
var secretWords = [...]string{"authorization", "cookie", "password", "token", "secret"}

func secretKey(key string) bool {
	key = strings.ToLower(key)
	for _, w := range secretWords {
		if strings.Contains(key, w) {
			return true
		}
	}
	return false
}

// credentials finds bearer tokens, JWTs and passwords of URLs inside free text.
var credentials = regexp.MustCompile(`(?i:\bbearer\s+)[^\s"',;]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*|://[^/\s:@]*:[^/\s@]+@`)

func maskText(s string) string {
	if !strings.Contains(s, "eyJ") && !strings.Contains(s, "://") && !strings.Contains(strings.ToLower(s), "bearer") {
		return s
	}
	return credentials.ReplaceAllStringFunc(s, func(m string) string {
		if strings.HasPrefix(m, "://") {
			return "://" + masked + "@"
		}
		return masked
	})
}

// mask hides an attribute whose key, or a group around it, names a secret, and looks into values that have keys of their own.
func mask(groups []string, a slog.Attr) slog.Attr {
	if secretKey(a.Key) {
		return slog.String(a.Key, masked)
	}
	for _, g := range groups {
		if secretKey(g) {
			return slog.String(a.Key, masked)
		}
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(maskText(a.Value.String()))
	case slog.KindAny:
		a.Value = maskAny(a.Value.Any())
	}
	return a
}

// maskAny goes through the JSON form of a value, because that is what would be written.
func maskAny(v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.AnyValue(nil)
	case error:
		return slog.StringValue(maskText(v.Error()))
	case json.Marshaler, []byte:
	case fmt.Stringer:
		return slog.StringValue(maskText(v.String()))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return slog.StringValue(fmt.Sprintf("!ERROR:%T cannot be written as JSON", v))
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return slog.StringValue(fmt.Sprintf("!ERROR:%T is not JSON", v))
	}
	return slog.AnyValue(maskTree(tree))
}

func maskTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			if secretKey(k) {
				v[k] = masked
			} else {
				v[k] = maskTree(child)
			}
		}
	case []any:
		for i, child := range v {
			v[i] = maskTree(child)
		}
	case string:
		return maskText(v)
	}
	return v
}
